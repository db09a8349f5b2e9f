# A small image with rpipe and base R. Add your packages and files on top:
#
#   FROM rpipe
#   RUN apt-get update && apt-get install -y --no-install-recommends r-cran-data.table
#   COPY pipeline.yaml model.R /data/
#   CMD ["run", "/data/pipeline.yaml"]
FROM golang:1.26-bookworm AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
RUN CGO_ENABLED=1 go build -trimpath -ldflags '-s -w' -o /rpipe ./cmd/rpipe && /rpipe version | grep -q DuckDB

FROM debian:bookworm-slim
RUN apt-get update \
 && apt-get install -y --no-install-recommends r-base-core libstdc++6 ca-certificates tini \
 && rm -rf /var/lib/apt/lists/*
COPY --from=build /rpipe /usr/local/bin/rpipe
ENV LANG=C.UTF-8
WORKDIR /data
# tini reaps what a killed R leaves; signals reach rpipe, which drains.
ENTRYPOINT ["tini", "--", "rpipe"]
CMD ["--help"]
