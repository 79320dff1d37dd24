use std::path::PathBuf;

use tandem_app::{AppError, Copy, CopyEnd};

use crate::{commands::Context, grammar::Cp};

pub(super) async fn run(context: &Context, wanted: Cp) -> anyhow::Result<u8> {
    let copy = Copy {
        from: end(&wanted.from),
        to: end(&wanted.to),
        follow: wanted.follow_link,
        keep_owners: wanted.archive,
    };
    let sides = (&copy.from, &copy.to);
    if !matches!(sides, (CopyEnd::Instance { .. }, _) | (_, CopyEnd::Instance { .. })) {
        let text = "one side must be in an instance: write INSTANCE:PATH";
        return Err(AppError::Usage(text.to_owned()).into());
    }
    context.app.copy(copy).await?;
    Ok(0)
}

/// What begins with `/` or `.` is the host's, even with a colon in it.
fn end(text: &str) -> CopyEnd {
    match text.split_once(':') {
        _ if text == "-" => CopyEnd::Stream,
        Some((instance, path)) if !text.starts_with(['/', '.']) => {
            CopyEnd::Instance { instance: instance.to_owned(), path: path.to_owned() }
        }
        _ => CopyEnd::Host(PathBuf::from(text)),
    }
}
