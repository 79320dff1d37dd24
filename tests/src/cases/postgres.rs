//! The article's PostgreSQL, from a registry to a table that outlives its
//! container.

use std::{fs, path::Path, time::Duration};

use anyhow::{Context as _, Result, ensure};
use tokio_postgres::{Client, NoTls};

use crate::{Case, Need, Start, World, poll, registry_peer::RegistryPeer};

const PEERS: &[Need] = &[
    Need::Root,
    Need::Program("mmdebstrap"),
    Need::Program("docker-registry"),
    Need::Program("psql"),
    Need::Program("gzip"),
];

pub(super) const CASES: &[Case] = &[Case {
    name: "postgres::is_pulled_used_and_keeps_its_data",
    needs: PEERS,
    start: Start::Empty,
    run: article,
}];

/// Long enough for a slow mirror and a slow machine.
const BUILD: Duration = Duration::from_mins(15);
/// The first start makes the database.
const START: Duration = Duration::from_mins(3);
const DATA: &str = "pgdata:/var/lib/postgresql/data";

/// A server that a case has started.
struct Server<'a> {
    world: &'a World,
    image: &'a str,
    port: u16,
}

/// A connection with the thread that drives it.
struct Connection {
    runtime: tokio::runtime::Runtime,
    client: Client,
}

impl Connection {
    /// The first column of the first row.
    fn ask(&self, query: &str) -> Result<String> {
        Ok(self.runtime.block_on(self.client.query_one(query, &[]))?.get(0))
    }

    fn run(&self, script: &str) -> Result<()> {
        Ok(self.runtime.block_on(self.client.batch_execute(script))?)
    }
}

impl<'a> Server<'a> {
    fn new(world: &'a World, image: &'a str) -> Result<Self> {
        Ok(Self { world, image, port: world.free_port()? })
    }

    fn start(&self, options: &[&str], arguments: &[&str]) -> Result<()> {
        let publish = format!("{}:5432", self.port);
        let fixed = ["run", "--name", "psql", "-p", &publish, "-d"];
        let command = [&fixed[..], options, &[self.image], arguments].concat();
        self.world.tandem(command)?.ok()?;
        Ok(())
    }

    fn connect(&self, user: &str, password: &str, database: &str) -> Result<Connection> {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        let mut config = tokio_postgres::Config::new();
        config.host("127.0.0.1").port(self.port).user(user).password(password).dbname(database);
        config.connect_timeout(Duration::from_secs(5));
        let connected =
            poll::until("PostgreSQL", START, || runtime.block_on(config.connect(NoTls)).ok());
        let (client, connection) =
            connected.with_context(|| self.logs().unwrap_or_else(|e| e.to_string()))?;
        runtime.spawn(connection);
        Ok(Connection { runtime, client })
    }

    /// What a person at a terminal sees.
    fn psql(&self, query: &str) -> Result<String> {
        let address = format!("postgresql://postgres:password%21@127.0.0.1:{}/postgres", self.port);
        let arguments =
            ["--no-psqlrc", "--tuples-only", "--no-align", "--command", query, &address];
        Ok(self.world.run("psql", &arguments)?.ok()?.line().to_owned())
    }

    fn logs(&self) -> Result<String> {
        let logs = self.world.tandem(["logs", "psql"])?.ok()?;
        Ok(format!("{}{}", logs.stdout, logs.stderr))
    }

    fn remove(&self) -> Result<()> {
        self.world.tandem(["rm", "-f", "-v", "psql"])?.ok()?;
        Ok(())
    }
}

fn article(world: &World) -> Result<()> {
    let registry = RegistryPeer::plain(world)?;
    let image = format!("{}/library/postgres:latest", registry.address());
    build_and_push(world, &image)?;
    world.tandem(["pull", &image])?.ok()?;

    // Without a password it does not begin.
    let refused = world.tandem(["run", "--rm", &image])?.code_is(1)?;
    refused.says(&["POSTGRES_PASSWORD"])?;

    // The article's way, with a volume; then by psql and by a Rust client.
    let password = ["-e", "POSTGRES_PASSWORD=password!"];
    let server = Server::new(world, &image)?;
    server.start(&[&password[..], &["-v", DATA]].concat(), &[])?;
    let client = server.connect("postgres", "password!", "postgres")?;
    client.run("CREATE TABLE pupils (name text); INSERT INTO pupils VALUES ('Ada'), ('Alan');")?;
    ensure!(server.psql("SELECT count(*) FROM pupils")? == "2");
    let wrong = format!("postgresql://postgres:wrong@127.0.0.1:{}/postgres", server.port);
    let refused = world.run("psql", &["--command", "SELECT 1", &wrong])?;
    ensure!(refused.code != Some(0), "a wrong password is taken\n{refused}");
    let user = world.tandem(["exec", "psql", "stat", "-c", "%U", "/proc/1"])?.ok()?;
    ensure!(user.line() == "postgres", "{user}");

    // A stop is a clean shutdown, a start finds everything.
    drop(client);
    world.tandem(["stop", "psql"])?.ok()?;
    let ended = world.tandem(["inspect", "psql"])?.ok()?.json()?;
    ensure!(ended[0]["exit"]["code"] == 0, "{ended}");
    ensure!(server.logs()?.contains("database system is shut down"), "{}", server.logs()?);
    world.tandem(["start", "psql"])?.ok()?;
    let client = server.connect("postgres", "password!", "postgres")?;
    ensure!(client.ask("SELECT string_agg(name, ' ' ORDER BY name) FROM pupils")? == "Ada Alan");
    ensure!(!server.logs()?.contains("not properly shut down"), "{}", server.logs()?);
    drop(client);
    server.remove()?;

    // Another container with the same volume has the data; one without does not.
    server.start(&[&password[..], &["-v", DATA]].concat(), &[])?;
    let client = server.connect("postgres", "password!", "postgres")?;
    ensure!(client.ask("SELECT max(name) FROM pupils")? == "Alan");
    drop(client);
    server.remove()?;
    settings(world, &image)?;
    world.tandem(["volume", "rm", "pgdata"])?.ok()?;
    Ok(())
}

fn build_and_push(world: &World, image: &str) -> Result<()> {
    let base = world.tandem_within(BUILD, ["image", "bootstrap", "debian"])?.ok()?;
    world.tandem(["sample", "copy", "postgres", "pg"])?.ok()?;
    let context = format!("debian:bookworm-slim=docker-image://{}", base.line());
    let build = ["build", "-t", image, "--build-context", &context, "pg"];
    world.tandem_within(BUILD, build)?.ok()?;
    world.tandem_within(BUILD, ["push", image])?.ok()?;
    let digest = |world: &World| -> Result<String> {
        let rows = world.tandem(["images", "--json"])?.ok()?.json()?;
        let rows = rows.as_array().context("a list")?;
        let row =
            rows.iter().find(|row| row["name"].as_str().is_some_and(|it| image.starts_with(it)));
        Ok(row.context("no image")?["digest"].to_string())
    };
    let built = digest(world)?;
    // Only the registry has it now.
    world.tandem(["image", "rm", image])?.ok()?;
    world.tandem_within(BUILD, ["system", "prune", "-a", "-f"])?.ok()?;
    world.tandem_within(BUILD, ["pull", image])?.ok()?;
    ensure!(digest(world)? == built, "the image has changed on its way");
    Ok(())
}

/// The other settings of the official image, on a database without a volume.
fn settings(world: &World, image: &str) -> Result<()> {
    let scripts = world.scratch().join("scripts");
    let secret = world.write("secret", "s3cret\n")?;
    world.write(
        "scripts/1.sql",
        "CREATE TABLE steps (step text); INSERT INTO steps VALUES ('sql');",
    )?;
    world.write(
        "scripts/2.sh",
        "psql --username \"$POSTGRES_USER\" --dbname \"$POSTGRES_DB\" -c \"INSERT INTO steps VALUES ('sh')\"\n",
    )?;
    world.write("scripts/3.sql", "INSERT INTO steps VALUES ('gz');")?;
    world.run("gzip", &[&scripts.join("3.sql").display().to_string()])?.ok()?;
    let bind = |from: &Path, to: &str| format!("{}:{to}:ro", from.display());
    let (scripts, secret) =
        (bind(&scripts, "/docker-entrypoint-initdb.d"), bind(&secret, "/run/secret"));
    let server = Server::new(world, image)?;
    let options = [
        "-v",
        &scripts,
        "-v",
        &secret,
        "-e",
        "POSTGRES_PASSWORD_FILE=/run/secret",
        "-e",
        "POSTGRES_USER=ann",
        "-e",
        "POSTGRES_DB=school",
        "-e",
        "POSTGRES_INITDB_ARGS=--data-checksums --encoding 'UTF8'",
        "-e",
        "PGDATA=/var/lib/postgresql/data/pg",
    ];
    server.start(&options, &["-c", "max_connections=33"])?;
    let client = server.connect("ann", "s3cret", "school")?;
    ensure!(client.ask("SELECT string_agg(step, ' ') FROM steps")? == "sql sh gz");
    ensure!(client.ask("SHOW max_connections")? == "33");
    ensure!(client.ask("SHOW data_checksums")? == "on");
    ensure!(client.ask("SHOW data_directory")? == "/var/lib/postgresql/data/pg");
    let lost = "SELECT count(*)::text FROM pg_tables WHERE tablename = 'pupils'";
    ensure!(client.ask(lost)? == "0", "a database without the volume has its data");
    drop(client);
    server.remove()?;

    // Everybody may come in when that is asked for; both ways to one setting
    // are one too many.
    server.start(&["-e", "POSTGRES_HOST_AUTH_METHOD=trust"], &[])?;
    server.connect("postgres", "", "postgres")?;
    server.remove()?;
    let both =
        ["run", "--rm", "-e", "POSTGRES_PASSWORD=x", "-e", "POSTGRES_PASSWORD_FILE=/x", image];
    world.tandem(both)?.code_is(1)?.says(&["leave one of them out"])?;
    let version = world.tandem(["run", "--rm", image, "--version"])?.ok()?;
    ensure!(version.stdout.starts_with("postgres (PostgreSQL)"), "{version}");
    fs::remove_file(world.scratch().join("secret"))?;
    Ok(())
}
