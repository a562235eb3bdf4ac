# The relay alone, for the container culvert-relay: a static program of the standard library, and nothing beside it. It needs no
# files, no names and no certificates: it speaks to the loopback address of its task. Built by goreleaser, as the image beside it;
# the path is the other image's too, so that command and health check are the same with either.
FROM scratch
ARG TARGETPLATFORM
COPY $TARGETPLATFORM/culvert-relay /usr/bin/culvert
USER 65534:65534
ENTRYPOINT ["/usr/bin/culvert"]
