# An image whose own health check knows that it comes up late.
ARG BASE_IMAGE
FROM ${BASE_IMAGE}
ENV WEB_VERSION=1.5 WEB_FAULT=late
HEALTHCHECK --interval=1s --timeout=2s --retries=1 --start-period=30s \
    CMD bash -c 'exec 3<>/dev/tcp/127.0.0.1/8000 && printf "GET /health HTTP/1.0\r\n\r\n" >&3 && grep -q " 200 " <&3'
