#!/bin/sh
# Builds the dashboard anew and fails where the committed dist/ differs, or
# where the lock file names a registry.
set -eu
cd "$(dirname "$0")"
if grep -q '"resolved"' package-lock.json; then
    echo "package-lock.json names a registry: install with omit-lockfile-registry-resolved" >&2
    exit 1
fi
npm ci --no-fund --no-audit
built=$(mktemp -d)
trap 'rm -rf "$built"' EXIT
npm run check
npx vite build --outDir "$built/dist" --emptyOutDir
diff -r dist "$built/dist" || {
    echo "web/ui/dist is not what web/ui makes: run 'npm run build' there and commit it" >&2
    exit 1
}
echo "web/ui/dist is what web/ui makes"
