//! The PostgreSQL try-out in the real window, from Debian's packages to data
//! that outlive their instance.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use tokio_postgres::NoTls;

use super::{
    window::{ENDING, SOON, open, tests},
    window_lessons::lesson,
};
use crate::{
    Case, Need, Start, World,
    desktop::{Desktop, Look},
};

const DATABASE: &[Need] = &[
    Need::Root,
    Need::Window,
    Need::Program("Xvfb"),
    Need::Program("dbus-run-session"),
    Need::Program("WebKitWebDriver"),
    Need::Program("mmdebstrap"),
    // The lesson's.
    Need::TcpPort(5435),
];

pub(super) const CASES: &[Case] = &[Case {
    name: "window_postgres::is_made_started_asked_and_keeps_its_data_in_a_volume",
    needs: DATABASE,
    start: Start::Built,
    run: try_out,
}];

/// Bootstrapping Debian and installing PostgreSQL, on a slow mirror.
const MAKING: Duration = Duration::from_mins(15);
/// The first start makes the database, three times.
const PROVING: Duration = Duration::from_mins(5);

fn try_out(world: &World) -> Result<()> {
    let desktop = open(world, Look::Light)?;
    desktop.click("nav-images")?;
    desktop.wait("postgres-card", SOON)?;
    have_an_image(&desktop)?;
    desktop.screenshot("postgres-ready-light")?;

    let port = world.free_port()?;
    desktop.fill("postgres-port", &port.to_string())?;
    let command = desktop.text("cli-equivalent")?;
    ensure!(
        command.contains(&format!("-p {port}:5432")) && command.contains("-v pgdata:"),
        "{command}"
    );
    desktop.click("postgres-start")?;
    running(&desktop)?;
    let url = desktop.text("postgres-url")?;
    ensure!(url == format!("postgresql://postgres:password%21@127.0.0.1:{port}/postgres"), "{url}");
    connects(&url)?;

    ask(
        &desktop,
        "SELECT n, 'word ' || n AS word, NULL AS nothing FROM generate_series(1, 3) AS n",
    )?;
    let cells = "return [...document.querySelectorAll('[data-testid=postgres-answer] td')].map(it => it.innerText).join('|')";
    let cells = desktop.script(cells)?;
    ensure!(cells == "1|word 1|null|2|word 2|null|3|word 3|null", "{cells}");
    desktop.screenshot("postgres-query-light")?;
    // What is wrong is said in PostgreSQL's own words, as text.
    ask(&desktop, "SELECT '<b>' FROM nowhere")?;
    let error = desktop.text("postgres-error")?;
    ensure!(error.contains("relation \"nowhere\" does not exist"), "{error}");
    let command = desktop.text("cli-equivalent")?;
    ensure!(command.starts_with("tandem exec psql psql -U postgres -c "), "{command}");

    prove(&desktop, "volume", "outlived their instance")?;
    desktop.click("postgres-remove")?;
    desktop.wait("postgres-start", SOON)?;
    desktop.script("document.querySelector('[data-testid=postgres-no-volume]').click()")?;
    desktop.click("postgres-start")?;
    running(&desktop)?;
    prove(&desktop, "none", "went with their instance")?;
    desktop.screenshot("postgres-proof-light")?;
    dark(&desktop)?;
    desktop.screenshot("postgres-proof-dark")?;
    desktop.click("postgres-remove")?;
    desktop.wait("postgres-start", SOON)?;
    let left = world.tandem(["ps", "-a"])?.ok()?;
    ensure!(!left.stdout.contains("psql"), "{left}");
    // The lesson goes the same way by commands, and has its image from the
    // same steps where no registry is in reach.
    desktop.click("nav-lessons")?;
    lesson(world, &desktop, "postgres", &[])?;
    desktop.close(ENDING)?;
    world.tandem(["image", "rm", "postgres:latest"])?.ok()?;
    world.tandem(["volume", "rm", "pgdata"])?.ok()?;
    Ok(())
}

fn have_an_image(desktop: &Desktop) -> Result<()> {
    // Nobody answers there, which the card says, and offers another way.
    desktop.fill("postgres-reference", "127.0.0.1:1/postgres:16")?;
    desktop.click("postgres-pull")?;
    says(desktop, "postgres-reach", "cannot be reached", SOON)?;
    desktop.screenshot("postgres-out-of-reach-light")?;
    desktop.click("postgres-make")?;
    let chosen = "return document.querySelector('[data-testid=postgres-image]')?.value ?? ''";
    desktop.until("the image", MAKING, async |page| {
        let name = page.execute(chosen, Vec::new()).await?;
        Ok((name == "localhost/tandem/postgres:latest").then_some(()))
    })
}

fn running(desktop: &Desktop) -> Result<()> {
    desktop.until("PostgreSQL", PROVING, async |page| state(page, "running").await)
}

async fn state(page: &fantoccini::Client, wanted: &str) -> Result<Option<()>> {
    let script = "const text = id => document.querySelector(`[data-testid=${id}]`)?.innerText;
        return [document.querySelector('[data-testid=postgres-card]').dataset.state, text('error-banner') ?? '']";
    let found = page.execute(script, Vec::new()).await?;
    ensure!(found[1] == "", "{found}");
    Ok((found[0] == wanted).then_some(()))
}

fn ask(desktop: &Desktop, query: &str) -> Result<()> {
    desktop.fill("postgres-query", query)?;
    desktop.click("postgres-run-query")?;
    tests(
        desktop,
        "an answer",
        "const it = document.querySelector('[data-testid=postgres-run-query]');
         return !it.disabled && !!document.querySelector('[data-testid=postgres-answer]')",
    )
}

fn prove(desktop: &Desktop, side: &str, words: &str) -> Result<()> {
    desktop.click("postgres-prove")?;
    says(desktop, &format!("postgres-proof-{side}"), words, PROVING)?;
    running(desktop)
}

fn says(desktop: &Desktop, id: &str, words: &str, limit: Duration) -> Result<()> {
    let script = format!("return document.querySelector('[data-testid={id}]')?.innerText ?? ''");
    desktop.until(words, limit, async |page| {
        let text = page.execute(&script, Vec::new()).await?;
        Ok(text.as_str().is_some_and(|text| text.contains(words)).then_some(()))
    })
}

/// A program outside gets in with what the card says.
fn connects(url: &str) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let (client, connection) = tokio_postgres::connect(url, NoTls).await.context("connect")?;
        let driving = tokio::spawn(connection);
        let row = client.query_one("SELECT 6 * 7", &[]).await?;
        ensure!(row.get::<_, i32>(0) == 42);
        drop(client);
        let _ = driving.await;
        Ok(())
    })
}

fn dark(desktop: &Desktop) -> Result<()> {
    desktop.script("document.documentElement.dataset.theme = 'dark'").map(drop)
}
