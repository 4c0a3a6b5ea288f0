# syntax=docker/dockerfile:1
# One image for the three Lifeboat workers; the role is the container's command. docs/aws.md says what each needs of its container.
# The version is exact; where builds have to be the same for ever, give NODE_IMAGE with its digest (node:…@sha256:…).
ARG NODE_VERSION=24.22.3
ARG NODE_IMAGE=node:${NODE_VERSION}-bookworm-slim
FROM ${NODE_IMAGE} AS build
WORKDIR /lifeboat
COPY package.json package-lock.json ./
RUN npm ci --ignore-scripts
COPY . .
RUN npm run build && npm prune --omit=dev

# What opens guests' disks that debugfs cannot (docs/guests.md), made of the packages of the release it runs on.
FROM ${NODE_IMAGE} AS appliance
WORKDIR /lifeboat
COPY bin bin
COPY setup setup
RUN node setup/appliance.mjs

FROM ${NODE_IMAGE}
# debugfs, e2fsck, sfdisk, mtools, hivexregedit and the unpackers adapt guests; QEMU runs the appliance, and its tools offer
# VMDK disks as files. Versions are those of Debian's stable release, whose security updates are wanted.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends ca-certificates cpio e2fsprogs fdisk fuse3 kmod \
      libwin-hivex-perl mtools qemu-system-common qemu-system-x86 qemu-utils util-linux xz-utils lz4 bzip2 lzop zstd \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /lifeboat
COPY --from=build /lifeboat/package.json ./
COPY --from=build /lifeboat/node_modules node_modules
COPY --from=build /lifeboat/bin bin
COPY --from=build /lifeboat/dist dist
COPY --from=appliance /lifeboat/.lifeboat/tools/appliance .lifeboat/tools/appliance
RUN mkdir -p /var/lib/lifeboat && chown node:node /var/lib/lifeboat
# The user node, by number: Kubernetes takes no name for proof that it is not root. Only what attaches disks runs as another (compose).
USER 1000:1000
ENV NODE_ENV=production LIFEBOAT_STATE_DIRECTORY=/var/lib/lifeboat
# The flag: workers/node-flags.ts says why.
ENTRYPOINT ["node", "--max-semi-space-size=4", "bin/lifeboat.mjs", "worker"]
