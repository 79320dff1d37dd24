//! What the page can ask for: one short function each, and the table by which
//! a call finds it.

mod class;
mod compare;
mod databases;
mod errands;
mod images;
mod instances;
mod lessons;
mod machine;
mod projects;
mod results;
mod settings;
mod terminals;

use std::{future::Future, pin::Pin};

use serde::Serialize;
use tandem_model::{ErrorCode, Failure};

use crate::{call::Call, shell::Shell};

/// An answer on its way, as JSON.
pub(crate) type Answer<'a> = Pin<Box<dyn Future<Output = Result<Vec<u8>, Failure>> + Send + 'a>>;

/// Makes `answer`, which finds a call's function, of lines `NAME => ANSWER`.
macro_rules! table {
    (|$shell:ident, $call:ident| $($name:ident => $answer:expr,)*) => {
        /// Answers a call.
        pub(crate) fn answer<'a>($shell: &'a Shell, $call: &'a Call) -> Answer<'a> {
            match $call.command() {
                $(name if name == stringify!($name) => {
                    Box::pin(async move { encode($answer) })
                })*
                other => Box::pin(std::future::ready(Err(unknown(other)))),
            }
        }
    };
}

table! { |shell, call|
    // What the window itself asks.
    beginning => Ok(compare::beginning(shell)),
    leave => Ok(shell.leave()),
    left => {
        shell.left().await;
        Ok(())
    },
    // What the page asks.
    opening => machine::opening(shell).await,
    doctor => machine::doctor(shell).await,
    subjects => compare::subjects(shell),
    defaults => Ok(compare::defaults(call.take("subject")?)),
    launch => compare::launch(shell, call.take("request")?, call.take("view")?).await,
    watch => Ok(compare::watch(shell, call.outlet("frames")?)),
    cancel => {
        compare::cancel(shell);
        Ok(())
    },
    draw => Ok(compare::draw(shell, call.take("view")?)),
    follow_instances => instances::follow_instances(shell, call.outlet("rows")?).await,
    start => instances::start(shell, call.take("name")?).await,
    stop => instances::stop(shell, call.take("name")?).await,
    discard => instances::discard(shell, call.take("name")?, call.take("volumes")?).await,
    open => instances::open(shell, call.take("name")?),
    restart => instances::restart(shell, call.take("name")?).await,
    pause => instances::pause(shell, call.take("name")?, call.take("paused")?).await,
    update => {
        let (name, resources) = (call.take("name")?, call.take("resources")?);
        instances::update(shell, name, resources, call.take("mode")?).await
    },
    follow_log => instances::follow_log(shell, call.take("name")?, call.outlet("lines")?).await,
    snapshots => instances::snapshots(shell, call.take("name")?),
    take_snapshot => {
        let (name, snapshot) = (call.take("name")?, call.take("snapshot")?);
        instances::take_snapshot(shell, name, snapshot, call.take("memory")?).await
    },
    restore_snapshot => {
        let (name, snapshot) = (call.take("name")?, call.take("snapshot")?);
        instances::restore_snapshot(shell, name, snapshot, call.take("into")?).await
    },
    remove_snapshot => {
        instances::remove_snapshot(shell, call.take("name")?, call.take("snapshot")?)
    },
    give => {
        let (name, kind, file) = (call.take("name")?, call.take("kind")?, call.take("file")?);
        instances::give(shell, name, kind, file, call.outlet("notes")?).await
    },
    images => images::images(shell),
    image_detail => images::image_detail(shell, call.take("name")?).await,
    tag_image => images::tag_image(shell, call.take("from")?, call.take("to")?),
    remove_image => images::remove_image(shell, call.take("name")?),
    prune_images => images::prune_images(shell),
    pull => images::pull(shell, call.take("name")?, call.outlet("progress")?).await,
    run_image => images::run_image(shell, call.take("wish")?).await,
    errands => Ok(errands::errands(shell)),
    join_errand => errands::join_errand(shell, call.take("kind")?, call.outlet("told")?).await,
    cancel_work => {
        errands::cancel_work(shell, call.take("kind")?);
        Ok(())
    },
    database_folder => databases::database_folder(shell, call.take("image")?),
    database => databases::database(shell, call.take("name")?),
    await_database => databases::await_database(shell, call.take("name")?).await,
    query_database => {
        databases::query_database(shell, call.take("name")?, call.take("query")?).await
    },
    make_database_image => databases::make_database_image(shell, call.outlet("events")?).await,
    open_terminal => {
        let (name, kind) = (call.take("name")?, call.take("kind")?);
        terminals::open_terminal(shell, name, kind, call.take("size")?).await
    },
    follow_terminal => {
        terminals::follow_terminal(shell, call.take("id")?, call.outlet("output")?).await
    },
    type_in_terminal => {
        terminals::type_in_terminal(shell, call.take("id")?, call.take("text")?).await
    },
    resize_terminal => {
        terminals::resize_terminal(shell, call.take("id")?, call.take("size")?);
        Ok(())
    },
    terminal_taken => {
        terminals::terminal_taken(shell, call.take("id")?, call.take("bytes")?);
        Ok(())
    },
    close_terminal => {
        terminals::close_terminal(shell, call.take("id")?);
        Ok(())
    },
    open_project => projects::open_project(shell, call.take("folder")?),
    new_project => projects::new_project(shell, call.take("sample")?, call.take("folder")?),
    save_project_file => {
        let (folder, name, text) = (call.take("folder")?, call.take("name")?, call.take("text")?);
        projects::save_project_file(shell, folder, name, text, call.take("before")?)
    },
    check_dockerfile => projects::check_dockerfile(shell, call.take("name")?, call.take("text")?),
    build_project => {
        projects::build_project(shell, call.take("folder")?, call.outlet("events")?).await
    },
    results => results::results(shell),
    view_result => {
        results::view_result(shell, call.take("id")?, call.take("width")?, call.take("theme")?)
    },
    view_beside => {
        let (ids, metric) = (call.take("ids")?, call.take("metric")?);
        results::view_beside(shell, ids, metric, call.take("width")?, call.take("theme")?)
    },
    export_result => {
        let (id, format, theme) = (call.take("id")?, call.take("format")?, call.take("theme")?);
        results::export_result(shell, id, format, theme, call.take("file")?)
    },
    remove_result => results::remove_result(shell, call.take("id")?),
    explain_result => results::explain_result(shell, call.take("id")?, call.take("text")?),
    import_recorded => results::import_recorded(shell),
    experiments => results::experiments(shell),
    experiment_defaults => Ok(results::experiment_defaults(call.take("id")?)),
    run_experiment => {
        results::run_experiment(shell, call.take("request")?, call.outlet("events")?).await
    },
    resume_experiment => {
        results::resume_experiment(shell, call.take("id")?, call.outlet("events")?).await
    },
    fit_guide => results::fit_guide(shell, call.take("subject")?, call.take("class")?),
    lessons => lessons::lessons(shell, call.take("language")?),
    lesson => lessons::lesson(shell, call.take("id")?, call.take("language")?),
    run_lesson_command => {
        let (id, spot, number) = (call.take("id")?, call.take("spot")?, call.take("number")?);
        lessons::run_lesson_command(shell, id, spot, number, call.outlet("lines")?).await
    },
    check_lesson => lessons::check_lesson(shell, call.take("id")?, call.take("spot")?).await,
    answer_lesson => {
        lessons::answer_lesson(shell, call.take("id")?, call.take("spot")?, call.take("choice")?)
    },
    reset_lesson => lessons::reset_lesson(shell, call.take("id")?),
    export_lesson => {
        let (id, language) = (call.take("id")?, call.take("language")?);
        lessons::export_lesson(shell, id, language, call.take("answers")?, call.take("file")?)
    },
    open_lesson_link => lessons::open_lesson_link(shell, call.take("id")?, call.take("url")?),
    view_class => {
        class::view_class(&call.take("wish")?, call.take("width")?, call.take("theme")?)
    },
    export_class_results => {
        let (wish, format) = (call.take("wish")?, call.take("format")?);
        class::export_class_results(&wish, format, &call.take::<String>("file")?)
    },
    create_bundle => {
        let (request, file) = (call.take("request")?, call.take("file")?);
        class::create_bundle(shell, request, file, call.outlet("progress")?).await
    },
    found_bundles => class::found_bundles().await,
    open_bundle => class::open_bundle(shell, call.take("file")?, call.outlet("progress")?).await,
    data_folder => settings::data_folder(shell),
    disk_use => settings::disk_use(shell),
    outside => settings::outside(shell),
    prune => settings::prune(shell).await,
    login => {
        let (registry, name) = (call.take("registry")?, call.take("name")?);
        settings::login(shell, registry, name, call.take("secret")?).await
    },
    logout => settings::logout(shell, call.take("registry")?).await,
}

fn encode(answer: Result<impl Serialize, Failure>) -> Result<Vec<u8>, Failure> {
    serde_json::to_vec(&answer?)
        .map_err(|e| Failure::new(ErrorCode::Internal, format!("an answer is no JSON: {e}")))
}

fn unknown(name: &str) -> Failure {
    let text = format!("the window asked for `{name}`, which is unknown here: install Tandem anew");
    Failure::new(ErrorCode::Internal, text)
}
