//! What goes wrong around the real window.

use anyhow::Result;

use super::window::{ENDING, case, launch_once, open, racing, tests};
use crate::{Case, World, desktop::Look, poll};

pub(super) const CASES: &[Case] =
    &[case("window::two_windows_see_the_same_and_a_lost_display_cleans_up", two)];

/// Both windows follow one home; one whose display is gone leaves nothing.
fn two(world: &World) -> Result<()> {
    let (first, second) = (open(world, Look::Light)?, open(world, Look::Dark)?);
    let arguments = ["run", "-d", "--name", "shared", "hello-flask"];
    world.tandem(arguments)?.ok()?;
    let state = "return document.querySelector('[data-testid=instance-row-shared]')?.dataset.state";
    for desktop in [&first, &second] {
        tests(desktop, "it runs in both", &format!("{state} === 'running'"))?;
    }
    first.click("instance-stop")?;
    tests(&second, "it is stopped in the other", &format!("{state} === 'exited'"))?;
    first.close(ENDING)?;
    second.click("instance-remove")?;
    tests(&second, "the row to go", &format!("{state} === undefined"))?;

    launch_once(&second)?;
    racing(&second)?;
    second.lose_display(ENDING)?;
    // Each command clears away what a lost owner left.
    poll::until("everything to be cleared away", ENDING, || {
        let left = world.tandem(["ps", "-a", "--json"]).ok()?.json().ok()?;
        left.as_array().is_some_and(Vec::is_empty).then_some(())
    })
}
