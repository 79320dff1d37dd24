//! `WWW-Authenticate` (RFC 9110 section 11.6.1): what a registry wants to see.

/// One way to prove who one is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Challenge {
    /// Name and password with each request.
    Basic,
    /// A token from elsewhere (distribution, "Token Authentication").
    Bearer(Bearer),
}

/// Where a token is to be had.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Bearer {
    /// URL of the token server.
    pub(crate) realm: String,
    /// The registry's name there.
    pub(crate) service: Option<String>,
    /// What is asked for, e.g. `repository:library/python:pull`.
    pub(crate) scopes: Vec<String>,
    /// Why the last token was refused.
    pub(crate) error: Option<String>,
}

/// Reads the challenges of one header. Schemes that nobody here knows, and
/// bearers without a realm, are left out.
pub(crate) fn parse_challenges(header: &str) -> Vec<Challenge> {
    let mut rest = header;
    let mut found: Vec<(String, Vec<(String, String)>)> = Vec::new();
    loop {
        rest = rest.trim_start_matches([' ', '\t', ',']);
        let word = token(rest);
        if word.is_empty() {
            break;
        }
        let after = &rest[word.len()..];
        let bare = after.trim_start_matches([' ', '\t']);
        if let Some(value) = bare.strip_prefix('=')
            && let Some((_, parameters)) = found.last_mut()
        {
            let (value, after) = parameter_value(value.trim_start_matches([' ', '\t']));
            parameters.push((word.to_ascii_lowercase(), value));
            rest = after;
        } else if bare.starts_with('=') {
            break;
        } else {
            found.push((word.to_ascii_lowercase(), Vec::new()));
            rest = after;
        }
    }
    found.into_iter().filter_map(|(scheme, parameters)| known(&scheme, parameters)).collect()
}

fn known(scheme: &str, parameters: Vec<(String, String)>) -> Option<Challenge> {
    if scheme == "basic" {
        return Some(Challenge::Basic);
    }
    if scheme != "bearer" {
        return None;
    }
    let mut bearer = Bearer::default();
    for (key, value) in parameters {
        match key.as_str() {
            "realm" => bearer.realm = value,
            "service" => bearer.service = Some(value),
            "scope" => bearer.scopes = value.split(' ').map(str::to_owned).collect(),
            "error" => bearer.error = Some(value),
            _ => {}
        }
    }
    bearer.scopes.retain(|scope| !scope.is_empty());
    (!bearer.realm.is_empty()).then_some(Challenge::Bearer(bearer))
}

/// The token (RFC 9110 section 5.6.2) that the text begins with.
fn token(text: &str) -> &str {
    let other = |c: char| !c.is_ascii_alphanumeric() && !"!#$%&'*+-.^_`|~".contains(c);
    &text[..text.find(other).unwrap_or(text.len())]
}

/// A token or a quoted string, and what follows it.
fn parameter_value(text: &str) -> (String, &str) {
    let Some(quoted) = text.strip_prefix('"') else {
        // Tokens in the wild hold more than the grammar allows.
        let end = text.find([',', ' ', '\t']).unwrap_or(text.len());
        return (text[..end].to_owned(), &text[end..]);
    };
    let mut value = String::new();
    let mut characters = quoted.char_indices();
    while let Some((at, c)) = characters.next() {
        match c {
            '"' => return (value, &quoted[at + 1..]),
            '\\' => value.extend(characters.next().map(|(_, c)| c)),
            c => value.push(c),
        }
    }
    (value, "")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_usual_ones_are_read() {
        let header = r#"Bearer realm="https://auth.docker.io/token",service="registry.docker.io",scope="repository:a/b:pull,push repository:c:pull",error="invalid_token""#;
        let expected = Bearer {
            realm: "https://auth.docker.io/token".into(),
            service: Some("registry.docker.io".into()),
            scopes: vec!["repository:a/b:pull,push".into(), "repository:c:pull".into()],
            error: Some("invalid_token".into()),
        };
        assert_eq!(parse_challenges(header), [Challenge::Bearer(expected)]);
        assert_eq!(parse_challenges("basic realm=\"x, y\""), [Challenge::Basic]);
        let two = parse_challenges(r#"Negotiate, Basic realm="a\"b", bearer realm=http://t/x"#);
        assert_eq!(two.len(), 2, "{two:?}");
        assert_eq!(two[0], Challenge::Basic);
        for useless in ["", ",,", "Bearer", "Bearer service=\"x\"", "=", "Digest realm=\"x\""] {
            assert_eq!(parse_challenges(useless), [], "{useless}");
        }
    }

    proptest! {
        #[test]
        fn any_text_ends(header in "\\PC*") {
            let _ = parse_challenges(&header);
        }

        #[test]
        fn what_is_written_is_read(
            realm in "https://[a-z]{1,9}(/[a-z]{1,5}){0,3}",
            service in "[ -~]{0,20}",
        ) {
            let quoted = service.replace('\\', "\\\\").replace('"', "\\\"");
            let header = format!("Bearer realm=\"{realm}\", service=\"{quoted}\"");
            let expected = Bearer { realm, service: Some(service), ..Bearer::default() };
            prop_assert_eq!(parse_challenges(&header), [Challenge::Bearer(expected)]);
        }
    }
}
