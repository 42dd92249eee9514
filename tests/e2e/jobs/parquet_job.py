"""pyarrow and DuckDB: Parquet written through the gateway by each, read back by both, with filters that read only parts of the files.

Run as `parquet_job.py ROWS`.
"""

import os
import pathlib
import sys

import duckdb
import duckdb_extension_httpfs
import pyarrow as pa
import pyarrow.dataset as dataset
import pyarrow.parquet as parquet
from pyarrow import fs

ROWS = int(sys.argv[1])
ROOT = "media/users/amna/parquet"
ENDPOINT = os.environ["AWS_ENDPOINT_URL"].removeprefix("http://")
KEY, SECRET = os.environ["AWS_ACCESS_KEY_ID"], os.environ["AWS_SECRET_ACCESS_KEY"]

table = pa.table(
    {
        "id": pa.array(range(ROWS), pa.int64()),
        "city": pa.array([("Karachi", "Lahore", "Singapore", "اسلام آباد")[number % 4] for number in range(ROWS)]),
        "amount": pa.array([number * 7919 % 100_003 / 100 for number in range(ROWS)], pa.float64()),
        "note": pa.array([None if number % 5 == 0 else f"{number * 2654435761 % 2**32:08x}" * 4 for number in range(ROWS)]),
    }
)
total = pa.compute.sum(table["amount"]).as_py()

# pyarrow's own S3 client.
s3 = fs.S3FileSystem(access_key=KEY, secret_key=SECRET, endpoint_override=ENDPOINT, scheme="http", region="us-east-1")
parquet.write_table(table, f"{ROOT}/one.parquet", filesystem=s3, row_group_size=max(ROWS // 10, 1))
assert parquet.read_table(f"{ROOT}/one.parquet", filesystem=s3).equals(table)
assert parquet.read_table(f"{ROOT}/one.parquet", filesystem=s3, columns=["city"]).equals(table.select(["city"]))
# Without `create_dir` pyarrow writes an empty object for each folder above too: `users/` is nobody's, and has no place.
options = {"format": "parquet", "partitioning": ["city"], "partitioning_flavor": "hive", "create_dir": False}
dataset.write_dataset(table, f"{ROOT}/by-city", filesystem=s3, **options)
cities = dataset.dataset(f"{ROOT}/by-city", filesystem=s3, partitioning="hive")
assert cities.count_rows() == ROWS and len(cities.files) == 4
lahore = cities.to_table(filter=dataset.field("city") == "Lahore").column("id").to_pylist()
assert sorted(lahore) == list(range(1, ROWS, 4))
with s3.open_output_stream(f"{ROOT}/raw") as stream:
    stream.write(b"0123456789" * 100)
with s3.open_input_file(f"{ROOT}/raw") as file:
    file.seek(995)
    assert file.read() == b"56789" and file.size() == 1000
s3.copy_file(f"{ROOT}/raw", f"{ROOT}/raw-moved")
s3.move(f"{ROOT}/raw-moved", f"{ROOT}/raw-again")
assert s3.get_file_info(f"{ROOT}/raw-moved").type == fs.FileType.NotFound
assert s3.get_file_info(f"{ROOT}/raw-again").size == 1000

# DuckDB's.
db = duckdb.connect(config={"extension_directory": "/nonexistent"})
folder = pathlib.Path(duckdb_extension_httpfs.__file__).parent / "extensions"
(extension,) = folder.glob(f"v{duckdb.__version__}/httpfs.duckdb_extension")
db.execute(f"LOAD '{extension}'")
db.execute(
    f"CREATE SECRET gateway (TYPE s3, KEY_ID '{KEY}', SECRET '{SECRET}', ENDPOINT '{ENDPOINT}', "
    "REGION 'us-east-1', URL_STYLE 'path', USE_SSL false)"
)


def query(sql):
    return db.execute(sql).fetchall()


assert query(f"SELECT count(*), sum(id) FROM 's3://{ROOT}/one.parquet'") == [(ROWS, ROWS * (ROWS - 1) // 2)]
assert abs(query(f"SELECT sum(amount) FROM 's3://{ROOT}/one.parquet'")[0][0] - total) < 1e-3
by_city = query(f"SELECT city, count(*) FROM read_parquet('s3://{ROOT}/by-city/**/*.parquet', hive_partitioning = true) GROUP BY city")
assert sorted(by_city) == sorted((city, len(range(first, ROWS, 4))) for first, city in enumerate(table["city"].to_pylist()[:4]))
one = query(f"SELECT note FROM 's3://{ROOT}/one.parquet' WHERE id = {ROWS - 2}")
assert one == [(table["note"][ROWS - 2].as_py(),)]

db.execute(f"COPY (SELECT * FROM 's3://{ROOT}/one.parquet' ORDER BY id) TO 's3://{ROOT}/duck.parquet' (FORMAT parquet)")
assert query(f"SELECT count(*) FROM glob('s3://{ROOT}/*.parquet')") == [(2,)]
assert parquet.read_table(f"{ROOT}/duck.parquet", filesystem=s3).cast(table.schema).equals(table)
db.execute(f"COPY (SELECT * FROM 's3://{ROOT}/duck.parquet') TO 's3://{ROOT}/rows.csv' (FORMAT csv, HEADER)")
assert query(f"SELECT count(*), max(id) FROM 's3://{ROOT}/rows.csv'") == [(ROWS, ROWS - 1)]
partitioned = f"COPY (SELECT * FROM 's3://{ROOT}/one.parquet') TO 's3://{ROOT}/duck-by-city' (FORMAT parquet, PARTITION_BY (city))"
db.execute(partitioned)
assert dataset.dataset(f"{ROOT}/duck-by-city", filesystem=s3, partitioning="hive").count_rows() == ROWS

s3.delete_dir(ROOT)
assert s3.get_file_info(ROOT).type == fs.FileType.NotFound
