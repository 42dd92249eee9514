# syntax=docker/dockerfile:1

# Both stages stand on Debian 12, so that the binary finds the C library that it was linked against.
FROM rust:1.95-slim-bookworm AS build
WORKDIR /src
COPY . .
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/src/target \
    cargo build --release --locked --bin domicile \
 && install -D target/release/domicile /out/domicile \
 && install -d -m 0700 /out/data

FROM gcr.io/distroless/cc-debian12:nonroot
COPY --from=build /out/domicile /usr/local/bin/domicile
COPY --from=build --chown=65532:65532 /out/data /data
USER 65532:65532
WORKDIR /data
VOLUME /data
EXPOSE 9000 9001
# There is no shell for a HEALTHCHECK; probe over HTTP instead: GET /healthz (alive) and /readyz (able to work) on port 9001.
STOPSIGNAL SIGTERM
ENTRYPOINT ["/usr/local/bin/domicile", "serve"]
# The self-contained installation. With a configuration of your own: docker run … IMAGE --config /etc/domicile/domicile.toml
CMD ["--data-dir", "/data", "--s3", "0.0.0.0:9000", "--admin", "0.0.0.0:9001"]
