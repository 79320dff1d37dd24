//! The tags of a repository, for whoever wrote a wrong one.

use reqwest::Method;
use serde::Deserialize;
use tandem_model::{ImageRef, closest};

use super::{
    answer,
    endpoint::{Ask, Endpoint},
    manifest::pull_scope,
};

/// Bytes of a list of tags that are read.
const BYTES: usize = 1 << 20;
/// Tags that a message names.
const NAMED: usize = 5;

#[derive(Deserialize)]
struct Tags {
    tags: Option<Vec<String>>,
}

impl Endpoint {
    /// What to do about a tag that is not there, as the end of a sentence.
    pub(crate) async fn nearest_tag(&self, reference: &ImageRef) -> String {
        let wanted = reference.tag().filter(|_| reference.digest().is_none());
        let tags = self.tags(reference).await.unwrap_or_default();
        match wanted {
            Some(wanted) => advice(wanted, &tags),
            None => advice("", &[]),
        }
    }

    async fn tags(&self, reference: &ImageRef) -> Option<Vec<String>> {
        let scopes = pull_scope(self, reference);
        let ask = Ask {
            method: Method::GET,
            url: self.url(reference.repository(), "tags/list"),
            headers: Vec::new(),
            scopes: &scopes,
            body: None,
        };
        // It is for a hint only: asked once, and no trouble is told.
        let response = self.send_once(&ask).await.ok().filter(|it| it.status() == 200)?;
        let body = answer::limited(response, BYTES).await.ok()?;
        serde_json::from_slice::<Tags>(&body).ok()?.tags
    }
}

fn advice(wanted: &str, tags: &[String]) -> String {
    let plain = |tag: &&String| tag.len() <= 128 && tag.chars().all(|c| c.is_ascii_graphic());
    let names: Vec<&str> = tags.iter().filter(plain).map(String::as_str).collect();
    if let Some(near) = closest(wanted, &names) {
        return format!("did you mean the tag `{near}`?");
    }
    match names.len() {
        0 => "check the name and the tag".to_owned(),
        count if count <= NAMED => format!("its tags are {}", names.join(", ")),
        // The newest are usually the last.
        count => {
            let last = names[count - NAMED..].join(", ");
            format!("its tags are {last} and {} others", count - NAMED)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_tag_is_named_and_else_a_few() {
        let tags: Vec<String> = (1..=7).map(|n| format!("1.{n}-slim")).collect();
        assert_eq!(advice("1.3-slm", &tags), "did you mean the tag `1.3-slim`?");
        assert!(advice("bookworm", &tags).ends_with("1.7-slim and 2 others"));
        assert_eq!(advice("bookworm", &tags[..1]), "its tags are 1.1-slim");
        assert_eq!(advice("bookworm", &["a\u{1b}[1m".to_owned()]), "check the name and the tag");
    }
}
