//! Builds that cannot succeed: one clear message, nothing left behind.

use std::fs;

use anyhow::{Result, ensure};

use super::build::BASE;
use crate::{Case, Need, Output, Start, World};

pub(super) const CASES: &[Case] = &[
    case("build_errors::a_syntax_error_names_file_and_line", syntax),
    case("build_errors::an_unknown_base_names_the_way_out", unknown_base),
    case("build_errors::a_failing_step_shows_its_output_and_code", failing_step),
    case("build_errors::a_missing_file_is_named", missing_file),
    case("build_errors::no_dockerfile", no_dockerfile),
];

const fn case(name: &'static str, run: fn(&World) -> Result<()>) -> Case {
    Case { name, needs: &[Need::Root], start: Start::Built, run }
}

/// Builds this text, which must fail; no image may come of it.
fn fails(world: &World, dockerfile: &str) -> Result<Output> {
    world.write("wrong/Dockerfile", dockerfile)?;
    let folder = world.scratch().join("wrong");
    let arguments = ["build".as_ref(), "-t".as_ref(), "wrong".as_ref(), folder.as_os_str()];
    let output = world.tandem(arguments)?.code_is(125)?;
    ensure!(output.stdout.is_empty(), "{output}");
    let images = world.tandem(["images", "--json"])?.ok()?;
    ensure!(!images.stdout.contains("\"wrong\""), "a failed build left an image\n{images}");
    Ok(output)
}

fn syntax(world: &World) -> Result<()> {
    let output = fails(world, &format!("FROM {BASE}\nENV A=1\nCOPYY . /app\n"))?;
    output.is_one_sentence(&["Dockerfile:3", "COPYY", "COPY"])?;
    let output = fails(world, "RUN true\n")?;
    output.is_one_sentence(&["Dockerfile:1", "FROM"])
}

fn unknown_base(world: &World) -> Result<()> {
    let output = fails(world, "FROM localhost/nobody/nothing:1\n")?;
    output.says(&["localhost/nobody/nothing:1", "Dockerfile:1"])
}

fn failing_step(world: &World) -> Result<()> {
    let step = "RUN echo so far so good; echo then trouble >&2; exit 42";
    let output = fails(world, &format!("FROM {BASE}\nWORKDIR /x\n{step}\n"))?;
    output.says(&["Dockerfile:3", "42", "so far so good", "then trouble"])
}

fn missing_file(world: &World) -> Result<()> {
    let output = fails(world, &format!("FROM {BASE}\nCOPY requirements.txt /\n"))?;
    output.says(&["Dockerfile:2", "requirements.txt"])
}

fn no_dockerfile(world: &World) -> Result<()> {
    let folder = world.scratch().join("empty");
    fs::create_dir(&folder)?;
    let output = world.tandem(["build".as_ref(), folder.as_os_str()])?.code_is(125)?;
    output.is_one_sentence(&["Dockerfile", "-f"])
}
