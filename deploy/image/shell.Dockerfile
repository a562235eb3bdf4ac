# Built by goreleaser, beside the image without a shell: for pipelines, whose runners bring the script and want a shell for it.
FROM alpine:3.22
RUN apk add --no-cache bash ca-certificates curl git
ARG TARGETPLATFORM
COPY $TARGETPLATFORM/culvert /usr/bin/culvert
# No ENTRYPOINT: GitLab and others would give their shell to it as arguments.
CMD ["/bin/sh"]
