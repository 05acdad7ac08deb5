#!/usr/bin/env bash
# A whole stack under one supervisor: a database, its schema, a cache, a web application and a proxy in front, each started when
# what it needs is ready. Ctrl-C stops all of it in the reverse order.
#
# Needs (Debian): postgresql redis-server nginx-light python3. Nothing of the system's own servers is touched: all files
# are in one directory, all ports are on 127.0.0.1.
#
#   packaging/examples/stack.sh                # and in a second terminal: supervicectl -s @supervice-stack graph
#
# STACK_DIR, STACK_SOCKET, STACK_DB, STACK_CACHE, STACK_APP, STACK_WEB: the directory, the control socket, the four ports.
# SUPERVICE: the daemon; else what `cargo build --release` has made, or the one in PATH.
set -euo pipefail

root=$(cd "$(dirname "$0")/../.." && pwd)
dir=${STACK_DIR:-$(mktemp -d "${TMPDIR:-/tmp}/supervice-stack.XXXXXX")}
socket=${STACK_SOCKET:-@supervice-stack}
db=${STACK_DB:-8901} cache=${STACK_CACHE:-8902} app=${STACK_APP:-8903} web=${STACK_WEB:-8904}

daemon=${SUPERVICE:-$root/target/release/supervice}
[ -x "$daemon" ] || daemon=$(command -v supervice) || { echo "no supervice: run cargo build --release" >&2; exit 1; }
postgres=$(ls -d /usr/lib/postgresql/*/bin 2>/dev/null | tail -n 1)
[ -n "$postgres" ] || { echo "no PostgreSQL in /usr/lib/postgresql: install the package postgresql" >&2; exit 1; }
PATH=$PATH:/usr/sbin
for need in redis-server nginx python3; do
  command -v "$need" >/dev/null || { echo "$need is not installed" >&2; exit 1; }
done
# PostgreSQL refuses to run as root. The daemon may be root; the programs are another user then, with a directory of their own.
as="" data=$dir/data
mkdir -p "$data"
if [ "$(id -u)" = 0 ]; then
  as="user = postgres"
  chmod 755 "$dir"
  chown postgres "$data"
fi

cat > "$dir/schema.sql" <<SQL
CREATE TABLE IF NOT EXISTS visits (id serial PRIMARY KEY, at timestamptz NOT NULL DEFAULT now());
SQL

cat > "$dir/app.py" <<PYTHON
"""Counts visits: each in the database, the last number in the cache."""
import datetime, http.server, signal, socket, subprocess, sys

def say(*words):
    print(datetime.datetime.now().isoformat(timespec="milliseconds"), *words, flush=True)

def query(sql):
    command = ["$postgres/psql", "-h", "$data", "-p", "$db", "-U", "postgres", "-qtA", "-v", "ON_ERROR_STOP=1", "-c", sql]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()

def remember(number):
    with socket.create_connection(("127.0.0.1", $cache), timeout=5) as cache:
        cache.sendall(f"SET visits {number}\r\n".encode())
        if cache.recv(64) != b"+OK\r\n":
            raise OSError("the cache did not take it")

class Page(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        try:
            text = "ready" if self.path == "/ready" else self.count()
            status = 200
        except (OSError, subprocess.CalledProcessError) as error:
            text, status = f"not now: {error}", 503
        body = (text + "\n").encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def count(self):
        number = query("INSERT INTO visits DEFAULT VALUES RETURNING id").splitlines()[0]
        remember(number)
        return f"visit {number}"

    def log_message(self, *args):
        pass

def leave(*_):
    say("app ends")
    sys.exit(0)

signal.signal(signal.SIGTERM, leave)
server = http.server.ThreadingHTTPServer(("127.0.0.1", $app), Page)
say("app listens")
server.serve_forever()
PYTHON

cat > "$dir/nginx.conf" <<NGINX
daemon off;
pid $data/nginx.pid;
error_log stderr notice;
events {}
http {
  access_log off;
  client_body_temp_path $data/body;
  proxy_temp_path $data/proxy;
  fastcgi_temp_path $data/fastcgi;
  uwsgi_temp_path $data/uwsgi;
  scgi_temp_path $data/scgi;
  server {
    listen 127.0.0.1:$web;
    location / { proxy_pass http://127.0.0.1:$app; }
  }
}
NGINX

cat > "$dir/stack.ini" <<INI
[supervice]
socket = $socket
pidfile = none
logfile = none
shutdown_timeout = 60

[program:cluster]
command = sh -c 'test -f $data/db/PG_VERSION || exec $postgres/initdb -D $data/db -U postgres -A trust'
type = oneshot
$as

[program:db]
command = $postgres/postgres -D $data/db -k $data -h 127.0.0.1 -p $db
requires = cluster
ready = command:$postgres/pg_isready -q -h $data -p $db
startsecs = 0
stopsignal = INT
stderr_logfile = $dir/db.log
$as

[program:migration]
command = $postgres/psql -h $data -p $db -U postgres -q -v ON_ERROR_STOP=1 -f $dir/schema.sql
type = oneshot
requires = db
$as

[program:cache]
command = redis-server --bind 127.0.0.1 --port $cache --save '' --appendonly no
ready = log:Ready to accept connections
stdout_logfile = $dir/cache.log
$as

[program:app]
command = python3 $dir/app.py
requires = migration, db, cache
ready = http:http://127.0.0.1:$app/ready
stdout_logfile = $dir/app.log
$as

[program:web]
command = nginx -c $dir/nginx.conf -e stderr
requires = app
ready = tcp:127.0.0.1:$web
stopsignal = QUIT
stderr_logfile = $dir/web.log
$as

[program:nightly]
command = sh -c 'exec $postgres/pg_dump -h $data -p $db -U postgres -f $data/nightly.sql postgres'
schedule = 0 3 * * *
requires = db
$as
INI

echo "everything is in $dir; http://127.0.0.1:$web/ counts visits; supervicectl -s $socket status" >&2
exec "$daemon" -n -c "$dir/stack.ini"
