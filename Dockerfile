# syntax=docker/dockerfile:1
# Forebay's image: the program, certificates and time zones; no root.

FROM rust:1.95-bookworm AS build
WORKDIR /src
COPY . .
# The C parts (librdkafka, OpenSSL, zstd) are built from vendored sources: gcc, make and perl are in the image.
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/src/target \
    cargo build --release --locked --bin forebay \
    && cp target/release/forebay /forebay \
    && strip --strip-debug /forebay

FROM debian:bookworm-slim
RUN apt-get update \
    && apt-get install -y --no-install-recommends ca-certificates tzdata \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --uid 10001 --no-create-home --shell /usr/sbin/nologin forebay
COPY --from=build /forebay /usr/local/bin/forebay
USER 10001
WORKDIR /tmp
EXPOSE 9464
# Needs `listen: 0.0.0.0:9464` (or 127.0.0.1:9464). bash speaks TCP: no HTTP client in the image.
HEALTHCHECK --interval=10s --timeout=5s --start-period=20s --retries=3 \
    CMD ["bash", "-c", "exec 3<>/dev/tcp/127.0.0.1/9464 && printf 'GET /healthz HTTP/1.0\\r\\n\\r\\n' >&3 && head -n 1 <&3 | grep -q ' 200'"]
ENTRYPOINT ["forebay"]
CMD ["--help"]
