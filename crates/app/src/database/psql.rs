use std::{process::Stdio, time::Duration};

use tandem_backend::BackendError;
use tandem_model::ExecSpec;
use tokio::{
    io::{AsyncRead, AsyncReadExt as _},
    time::{Instant, timeout},
};

use super::{
    Settings,
    answer::{FIELD, NULL, QueryAnswer, RECORD, read},
};
use crate::{App, AppError};

/// The longest query, in bytes: it goes through an argument.
const LONGEST: usize = 16 * 1024;
/// The most that is taken in of an answer, in bytes.
const MOST: u64 = 1 << 20;
/// PostgreSQL gives a statement up after this long, milliseconds.
const STATEMENT_MS: u32 = 20_000;
const LIMIT: Duration = Duration::from_secs(40);

impl App {
    /// Asks the PostgreSQL in an instance. What is wrong with the query is
    /// part of the answer.
    pub async fn query_database(
        &self,
        instance: &str,
        query: &str,
    ) -> Result<QueryAnswer, AppError> {
        if query.len() > LONGEST {
            let text = format!(
                "the query has {} bytes, and only {LONGEST} can be passed on: put it into a file and use `tandem cp` and `psql -f`",
                query.len()
            );
            return Err(AppError::Usage(text));
        }
        let record = self.inspect(instance)?;
        let name = record.spec.name.clone();
        let spec = question(&Settings::of(&record.spec.env), query);
        let failed = |why: String| BackendError::engine("asking PostgreSQL", why);
        let begin = Instant::now();
        let mut command = tokio::process::Command::from(self.exec(&name, &spec).await?);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.kill_on_drop(true).spawn().map_err(|e| failed(e.to_string()))?;
        let (out, errors) = (child.stdout.take(), child.stderr.take());
        let told = timeout(LIMIT, async {
            let (out, errors) = tokio::join!(take(out), take(errors));
            (out, errors, child.wait().await)
        });
        let ((out, cut_out), (errors, cut_errors), ended) =
            told.await.map_err(|_| failed(format!("{name} does not answer")))?;
        let code = ended.map_err(|e| failed(e.to_string()))?.code();
        let (cut, said) = (cut_out || cut_errors, plain(&errors));
        if let (Some(126 | 127), false) = (code, cut) {
            return Err(BackendError::Unavailable {
                what: format!("a query in {name}"),
                why: "its image has no psql".to_owned(),
                fix: format!("`tandem exec -it {name} sh` shows what it has"),
            }
            .into());
        }
        let (tables, mut notes) = read(&out);
        let error = (code != Some(0) && !cut).then(|| said.clone());
        if error.is_none() {
            notes.extend(said.lines().map(ToOwned::to_owned));
        }
        let elapsed_ns = u64::try_from(begin.elapsed().as_nanos()).unwrap_or(u64::MAX);
        Ok(QueryAnswer { tables, notes, error, cut, elapsed_ns })
    }
}

/// Over the network, as programs outside come: while the first start makes
/// the database, only the socket answers.
fn question(settings: &Settings<'_>, query: &str) -> ExecSpec {
    let marks = [format!("null={NULL}"), FIELD.to_string(), RECORD.to_string()];
    let [null, field, record] = marks.each_ref().map(String::as_str);
    let words = [
        "psql",
        "--no-psqlrc",
        "--no-password",
        "-h",
        "127.0.0.1",
        "-U",
        settings.user,
        "-d",
        settings.database,
        "-v",
        "ON_ERROR_STOP=1",
        "-A",
        "-F",
        field,
        "-R",
        record,
        "-P",
        null,
        "-P",
        "footer=on",
        "-P",
        "pager=off",
        "-c",
        query,
    ];
    ExecSpec {
        args: words.map(str::to_owned).to_vec(),
        env: vec![
            format!("PGPASSWORD={}", settings.password),
            "PGCONNECT_TIMEOUT=5".to_owned(),
            "PGCLIENTENCODING=UTF8".to_owned(),
            format!("PGOPTIONS=-c statement_timeout={STATEMENT_MS}"),
        ],
        ..ExecSpec::default()
    }
}

/// What comes, up to a limit, and whether there is more: then nobody reads it,
/// which ends the program.
async fn take(source: Option<impl AsyncRead + Unpin>) -> (String, bool) {
    let mut bytes = Vec::new();
    if let Some(source) = source {
        let _ = source.take(MOST + 1).read_to_end(&mut bytes).await;
    }
    let cut = bytes.len() as u64 > MOST;
    (String::from_utf8_lossy(&bytes).into_owned(), cut)
}

/// The sentence without the helper's own name before it.
fn plain(said: &str) -> String {
    let said = said.trim_end();
    said.strip_prefix("tandem: ").unwrap_or(said).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_is_one_argument_and_the_password_is_none() {
        let settings = Settings { user: "ann", password: "p w", database: "school" };
        let spec = question(&settings, "SELECT 'x; y'");
        assert_eq!(spec.args.last().unwrap(), "SELECT 'x; y'");
        assert!(!spec.args.iter().any(|word| word.contains("p w")));
        assert!(spec.env.contains(&"PGPASSWORD=p w".to_owned()));
    }
}
