// The AWS SDK for JavaScript, version 3: objects, streams, every checksum, multipart, copies, listing, presigned URLs, errors.
// Run as `node sdk_js.mjs FOLDER_WITH_NODE_MODULES FILE`; the file is what is uploaded in parts.

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { createReadStream, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { Readable } from "node:stream";

const require = createRequire(`${process.argv[2]}/`);
const s3 = require("@aws-sdk/client-s3");
const { Upload } = require("@aws-sdk/lib-storage");
const { getSignedUrl } = require("@aws-sdk/s3-request-presigner");

const large = readFileSync(process.argv[3]);
const small = large.subarray(0, 100_000);
const client = new s3.S3Client({ region: process.env.AWS_DEFAULT_REGION, forcePathStyle: true, maxAttempts: 1 });
const Bucket = "media";
const key = (name) => `users/amna/js/${name}`;
const send = (Command, input) => client.send(new Command({ Bucket, ...input }));
const sha = (data) => createHash("sha256").update(data).digest("hex");
const bytes = async (Key, more = {}) =>
  Buffer.from(await (await send(s3.GetObjectCommand, { Key, ...more })).Body.transformToByteArray());
const fails = async (promise, name, status) =>
  assert.rejects(promise, (error) => {
    assert.equal(error.name, name);
    assert.equal(error.$metadata.httpStatusCode, status);
    return true;
  });

// One object: bytes, headers, metadata, ranges.
const put = await send(s3.PutObjectCommand, {
  Key: key("one"),
  Body: small,
  ContentType: "image/x-test",
  CacheControl: "max-age=60",
  Metadata: { "domicile-residence": "PK", note: "plain" },
});
const got = await send(s3.GetObjectCommand, { Key: key("one") });
assert.equal(sha(await got.Body.transformToByteArray()), sha(small));
assert.equal(got.ETag, put.ETag);
assert.equal(got.ContentType, "image/x-test");
assert.equal(got.CacheControl, "max-age=60");
assert.deepEqual(got.Metadata, { "domicile-residence": "PK", note: "plain" });
assert.ok(got.LastModified instanceof Date && Math.abs(Date.now() - got.LastModified) < 60_000);
assert.deepEqual(await bytes(key("one"), { Range: "bytes=65000-65999" }), small.subarray(65_000, 66_000));
assert.deepEqual(await bytes(key("one"), { Range: "bytes=-5" }), small.subarray(-5));

// A stream goes out as aws-chunked with a trailing checksum.
await send(s3.PutObjectCommand, { Key: key("stream"), Body: Readable.from([small]), ContentLength: small.length });
assert.deepEqual(await bytes(key("stream")), small);
await send(s3.PutObjectCommand, { Key: key("empty"), Body: "" });
assert.equal((await bytes(key("empty"))).length, 0);
for (const ChecksumAlgorithm of ["CRC32", "CRC32C", "CRC64NVME", "SHA1", "SHA256"]) {
  await send(s3.PutObjectCommand, { Key: key(`sum ${ChecksumAlgorithm}`), Body: small, ChecksumAlgorithm });
  const head = await send(s3.HeadObjectCommand, { Key: key(`sum ${ChecksumAlgorithm}`), ChecksumMode: "ENABLED" });
  assert.ok(head[`Checksum${ChecksumAlgorithm}`], ChecksumAlgorithm);
  assert.equal(head.ChecksumType, "FULL_OBJECT");
  assert.deepEqual(await bytes(key(`sum ${ChecksumAlgorithm}`), { ChecksumMode: "ENABLED" }), small);
}

// Parts, from a stream whose length nobody told.
const upload = new Upload({
  client,
  params: { Bucket, Key: key("large"), Body: createReadStream(process.argv[3]), Metadata: { "domicile-residence": "PK" } },
  partSize: 5 << 20,
  queueSize: 3,
});
const done = await upload.done();
assert.match(done.ETag, /-\d+"$/);
const back = createHash("sha256");
for await (const chunk of (await send(s3.GetObjectCommand, { Key: key("large") })).Body) back.update(chunk);
assert.equal(back.digest("hex"), sha(large));
const part = await send(s3.GetObjectCommand, { Key: key("large"), PartNumber: 2 });
assert.deepEqual(Buffer.from(await part.Body.transformToByteArray()), large.subarray(5 << 20, 10 << 20));
const { UploadId } = await send(s3.CreateMultipartUploadCommand, { Key: key("given up") });
await send(s3.UploadPartCommand, { Key: key("given up"), UploadId, PartNumber: 1, Body: small });
const parts = await send(s3.ListPartsCommand, { Key: key("given up"), UploadId });
assert.deepEqual(parts.Parts.map((each) => [each.PartNumber, each.Size]), [[1, small.length]]);
await send(s3.AbortMultipartUploadCommand, { Key: key("given up"), UploadId });
await fails(send(s3.ListPartsCommand, { Key: key("given up"), UploadId }), "NoSuchUpload", 404);

// Copies, also of keys that need escaping.
for (const name of ["with space", "plus+and&more", "اردو نام", "a//b/", "percent%20"]) {
  await send(s3.CopyObjectCommand, { Key: key(name), CopySource: encodeURI(`${Bucket}/${key("one")}`) });
  await send(s3.CopyObjectCommand, { Key: key("again"), CopySource: encodeURIComponent(`${Bucket}/${key(name)}`) });
  assert.deepEqual(await bytes(key("again")), small);
}

// Listing, a few at a time.
const names = [];
for await (const page of s3.paginateListObjectsV2({ client, pageSize: 3 }, { Bucket, Prefix: key("") })) {
  names.push(...(page.Contents ?? []).map((item) => item.Key));
}
assert.deepEqual(names, [...names].sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b))));
assert.equal(names.length, 15);
const level = await send(s3.ListObjectsV2Command, { Prefix: key("a"), Delimiter: "/" });
assert.deepEqual(level.CommonPrefixes, [{ Prefix: key("a/") }]);

// Conditions and errors come as the SDK's own exceptions.
await fails(send(s3.PutObjectCommand, { Key: key("one"), Body: "x", IfNoneMatch: "*" }), "PreconditionFailed", 412);
await fails(send(s3.GetObjectCommand, { Key: key("never there") }), "NoSuchKey", 404);
await fails(send(s3.HeadObjectCommand, { Key: key("never there") }), "NotFound", 404);
await fails(client.send(new s3.ListObjectsV2Command({ Bucket: "never-there" })), "NoSuchBucket", 404);
await assert.rejects(send(s3.GetObjectCommand, { Key: key("one"), IfNoneMatch: put.ETag }), (error) => {
  assert.equal(error.$metadata.httpStatusCode, 304);
  return true;
});

// Presigned URLs, used by somebody without a key.
const there = await getSignedUrl(client, new s3.PutObjectCommand({ Bucket, Key: key("presigned") }), { expiresIn: 60 });
assert.equal((await fetch(there, { method: "PUT", body: small })).status, 200);
const here = new s3.GetObjectCommand({ Bucket, Key: key("presigned"), ResponseContentType: "text/x-other" });
const answer = await fetch(await getSignedUrl(client, here, { expiresIn: 60 }));
assert.equal(answer.headers.get("content-type"), "text/x-other");
assert.equal(sha(Buffer.from(await answer.arrayBuffer())), sha(small));

const Objects = [...names, key("presigned")].map((Key) => ({ Key }));
const deleted = await send(s3.DeleteObjectsCommand, { Delete: { Objects } });
assert.equal(deleted.Deleted.length, Objects.length);
assert.equal((await send(s3.ListObjectsV2Command, { Prefix: key("") })).KeyCount, 0);
