# rpipe serve in a container, for deploy/docker/serve.yaml. The image rpipe is that of the
# Dockerfile at the top of rpipe's source:  docker build -t rpipe .
ARG RPIPE=rpipe:latest
FROM ${RPIPE}
USER root

# Add what tasks, pipelines and APIs need: r-cran-… from Debian, or install.packages().
RUN apt-get update \
 && apt-get install -y --no-install-recommends r-cran-plumber \
 && rm -rf /var/lib/apt/lists/* \
 && useradd --system --uid 10001 --home-dir /var/lib/rpipe --shell /usr/sbin/nologin tasks \
 && install -d -o tasks -m 700 /var/lib/rpipe /join

USER 10001
ENV LANG=C.UTF-8 RPIPE_DATA=/var/lib/rpipe/data RPIPE_TOKENS=/var/lib/rpipe/tokens.json
WORKDIR /srv/rpipe
VOLUME /var/lib/rpipe
EXPOSE 7033

# The image has no curl; bash can ask, too.
HEALTHCHECK --interval=10s --timeout=3s --start-period=3m CMD ["bash", "-c", \
  "exec 3<>/dev/tcp/127.0.0.1/7033 && printf 'GET /readyz HTTP/1.0\\r\\n\\r\\n' >&3 && read -r -t 2 line <&3 && [[ $line == *' 200 '* ]]"]
# tini is process 1, by the image it is made from, and passes SIGTERM and SIGHUP on.
CMD ["serve", "rpipe.yaml", "--listen", "0.0.0.0:7033"]
