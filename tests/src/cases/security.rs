//! What an app may do, as `run` is asked, seen from inside.

use anyhow::{Result, ensure};

use crate::{Case, Need, Start, World};

pub(super) const CASES: &[Case] = &[
    case("security::capabilities_are_given_and_taken", capabilities),
    case("security::system_calls_are_filtered_as_asked", seccomp),
    case("security::new_privileges_are_gained_only_when_asked", privileges),
    case("security::a_read_only_root_cannot_be_changed", read_only),
    case("security::process_limits_are_set", ulimits),
    case("security::an_init_collects_orphans_and_passes_signals", init),
    case("security::running_out_of_memory_is_said", out_of_memory),
];

const fn case(name: &'static str, run: fn(&World) -> Result<()>) -> Case {
    Case { name, needs: &[Need::Root], start: Start::Built, run }
}

fn shell(world: &World, options: &[&str], line: &str) -> Result<String> {
    let fixed = ["run", "--rm", "--entrypoint", "sh"];
    let arguments = [&fixed[..], options, &["hello-flask", "-c", line]].concat();
    Ok(world.tandem(arguments)?.ok()?.stdout.trim().to_owned())
}

fn status(world: &World, options: &[&str], field: &str) -> Result<String> {
    shell(world, options, &format!("awk '/^{field}:/{{print $2}}' /proc/self/status"))
}

fn capabilities(world: &World) -> Result<()> {
    let effective = |options: &[&str]| status(world, options, "CapEff");
    ensure!(effective(&["--cap-drop", "ALL"])? == "0000000000000000");
    ensure!(effective(&["--cap-drop", "all", "--cap-add", "CHOWN"])? == "0000000000000001");
    // Docker's set with CAP_NET_ADMIN (bit 12) and without CAP_CHOWN (bit 0).
    let changed = effective(&["--cap-add", "CAP_NET_ADMIN", "--cap-drop", "chown"])?;
    ensure!(changed == "00000000a80435fa", "{changed}");
    // All that this machine lets us have ourselves.
    let own = std::fs::read_to_string("/proc/self/status")?;
    let own = own.lines().find_map(|line| line.strip_prefix("CapPrm:")).unwrap_or_default();
    ensure!(effective(&["--cap-add", "ALL"])? == own.trim());
    ensure!(effective(&["-u", "1000", "--cap-add", "NET_ADMIN"])? == "0000000000000000");
    // Another command in such a container, as whoever it likes.
    let fixed = ["run", "-d", "--name", "bare", "--cap-drop", "ALL", "--entrypoint", "sleep"];
    world.tandem([&fixed[..], &["hello-flask", "1000"]].concat())?.ok()?;
    let script = "id -u; grep CapEff /proc/self/status";
    for user in ["0", "1000", "nobody:4242"] {
        let said = world.tandem(["exec", "-u", user, "bare", "sh", "-c", script])?.ok()?;
        ensure!(said.stdout.ends_with("\t0000000000000000\n"), "{user}: {said}");
    }
    world.tandem(["rm", "-f", "bare"])?.ok()?;
    let wrong = world.tandem(["run", "--cap-add", "NET_ADMN", "hello-flask"])?.code_is(2)?;
    ensure!(wrong.stderr.contains("did you mean NET_ADMIN?"), "{wrong}");
    Ok(())
}

fn seccomp(world: &World) -> Result<()> {
    ensure!(status(world, &["--security-opt", "seccomp=unconfined"], "Seccomp")? == "0");
    ensure!(status(world, &[], "Seccomp")? == "2");
    let profile = r#"{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"names":["mkdir","mkdirat"],"action":"SCMP_ACT_ERRNO","errnoRet":28}]}"#;
    world.write("profile.json", profile)?;
    let options = ["--security-opt", "seccomp=profile.json"];
    let said = shell(world, &options, "mkdir /new 2>&1; echo")?;
    ensure!(said.contains("No space left"), "the profile's own error: {said}");
    world.write("broken.json", "{}")?;
    let refused = ["run", "--rm", "--security-opt", "seccomp=broken.json", "hello-flask"];
    world.tandem(refused)?.code_is(2)?.is_one_sentence(&["seccomp profile", "defaultAction"])?;
    // The default profile opens what a capability is for.
    let mount = "import ctypes; c = ctypes.CDLL(None, use_errno=True)
print(c.mount(b'none', b'/mnt', b'tmpfs', 0, None), ctypes.get_errno())";
    let python = |options: &[&str]| -> Result<String> {
        let fixed = ["run", "--rm", "--entrypoint", "python"];
        let arguments = [&fixed[..], options, &["hello-flask", "-c", mount]].concat();
        Ok(world.tandem(arguments)?.ok()?.line().to_owned())
    };
    ensure!(python(&["--cap-add", "SYS_ADMIN"])? == "0 0");
    ensure!(python(&[])? == "-1 1");
    Ok(())
}

fn privileges(world: &World) -> Result<()> {
    ensure!(status(world, &[], "NoNewPrivs")? == "1");
    for user in ["0", "1000"] {
        let options = ["-u", user, "--security-opt", "no-new-privileges=false"];
        ensure!(status(world, &options, "NoNewPrivs")? == "0");
        ensure!(status(world, &options, "Seccomp")? == "2", "filtered all the same");
        ensure!(status(world, &options, "CapBnd")? == "00000000a80425fb", "nothing lent stays");
    }
    Ok(())
}

fn read_only(world: &World) -> Result<()> {
    let options = ["--read-only", "--tmpfs", "/tmp", "-v", "/data"];
    let look = "touch /etc/x 2>/dev/null || echo refused; touch /tmp/x /data/x && echo written";
    let seen = shell(world, &options, look)?;
    ensure!(seen == "refused\nwritten", "{seen}");
    Ok(())
}

fn ulimits(world: &World) -> Result<()> {
    let options = ["--ulimit", "nofile=100:200", "--ulimit", "core=0"];
    let seen = shell(world, &options, "ulimit -Sn; ulimit -Hn; ulimit -c")?;
    ensure!(seen == "100\n200\n0", "{seen}");
    let wrong = world.tandem(["run", "--ulimit", "nofiles=1", "hello-flask"])?.code_is(2)?;
    ensure!(wrong.stderr.contains("did you mean nofile?"), "{wrong}");
    Ok(())
}

fn init(world: &World) -> Result<()> {
    let script = "cat /proc/1/cmdline | tr '\\0' ' '; echo; (sh -c 'sleep 0.1 & exec true'); sleep 0.5; grep -l '^State:.Z' /proc/[0-9]*/status | wc -l; exit 5";
    let arguments = ["run", "--rm", "--init", "--entrypoint", "sh", "hello-flask", "-c", script];
    let output = world.tandem(arguments)?.code_is(5)?;
    ensure!(output.stdout.starts_with("/dev/init container-init"), "{output}");
    ensure!(output.stdout.trim().ends_with("\n0"), "no zombie stays\n{output}");
    let trapped = "trap 'echo asked; exit 3' TERM; echo ready; while :; do sleep 0.05; done";
    world
        .tandem([
            "run",
            "-d",
            "--init",
            "--name",
            "inited",
            "--entrypoint",
            "sh",
            "hello-flask",
            "-c",
            trapped,
        ])?
        .ok()?;
    crate::poll::until("the app to be ready", std::time::Duration::from_secs(30), || {
        world.tandem(["logs", "inited"]).ok()?.stdout.contains("ready").then_some(())
    })?;
    world.tandem(["stop", "inited"])?.ok()?;
    let row = super::container::row(world, "inited")?;
    ensure!(row["exit_code"] == 3, "{row}");
    world.tandem(["rm", "inited"])?.ok()?;
    Ok(())
}

fn out_of_memory(world: &World) -> Result<()> {
    let eat = "x = bytearray(200 << 20)";
    let run =
        ["run", "--name", "eater", "-m", "32m", "--entrypoint", "python", "hello-flask", "-c", eat];
    let output = world.tandem(run)?.code_is(137)?;
    ensure!(
        output.stderr.contains("ran out of memory") && output.stderr.contains("--memory"),
        "{output}"
    );
    let listed = world.tandem(["ps", "-a"])?.ok()?;
    ensure!(listed.stdout.contains("out of memory"), "{listed}");
    world.tandem(["rm", "eater"])?.ok()?;
    let small = world.tandem(["run", "--rm", "-m", "1m", "hello-flask"])?.code_is(125)?;
    small.is_one_sentence(&["6m"])
}
