use serde_json::json;

use super::*;

fn filled(template: &str) -> Result<String, String> {
    let value = json!({
        "Name": "web", "State": { "Running": true, "ExitCode": 0, "Health": null },
        "Args": ["a", "b c"],
        "Ports": { "80/tcp": [{ "HostIp": "127.0.0.1", "HostPort": "8080" }], "53/udp": null },
        "Labels": { "a.b": "c" },
    });
    Template::read(template).and_then(|it| it.fill(&value)).map_err(|error| error.to_string())
}

#[test]
fn what_people_write_with_docker_is_filled() {
    for (template, expected) in [
        ("{{.Name}}", "web"),
        ("{{ .Name }}: {{.State.Running}} {{.State.ExitCode}}", "web: true 0"),
        ("{{json .Args}}", r#"["a","b c"]"#),
        (".State is {{if .State.Running}}up{{else}}down{{end}}", ".State is up"),
        ("{{if .State.Health}}{{.State.Health.Status}}{{else if .Name}}none{{end}}", "none"),
        ("{{range .Args}}<{{.}}>{{end}}", "<a><b c>"),
        ("{{range $i, $it := .Args}}{{$i}}={{$it}} {{end}}", "0=a 1=b c "),
        (
            "{{range $p, $c := .Ports}}{{$p}} -> {{(index $c 0).HostPort}};{{end}}",
            "53/udp -> <nil>;80/tcp -> 8080;",
        ),
        (
            "{{range $p, $c := .Ports}}{{with $c}}{{$p}}:{{(index . 0).HostPort}}{{end}}{{end}}",
            "80/tcp:8080",
        ),
        ("{{(index (index .Ports \"80/tcp\") 0).HostPort}}", "8080"),
        ("{{index .Labels \"a.b\"}} {{index .Labels \"none\"}}", "c <nil>"),
        ("{{$n := \"web\"}}{{eq $n .Name}} {{eq (len .Args) .State.ExitCode}}", "true false"),
        ("{{join .Args \", \" | upper}}", "A, B C"),
        ("{{.Args | len}} {{len .Name}}", "2 3"),
        ("{{.Args}} {{.Labels}}", "[a b c] map[a.b:c]"),
        ("{{$n := .Name}}{{with .State}}{{$n}} {{$.Name}} {{.ExitCode}}{{end}}", "web web 0"),
        ("a {{- .Name -}} \n b", "awebb"),
        ("{{eq .Name \"x\" \"web\"}} {{and .State.Running (not .State.ExitCode)}}", "true true"),
        ("{{or .State.Health .Name}} {{lt 1 2}} {{title .Name}}", "web true Web"),
        ("{{println .Name}}{{/* said */}}{{`raw`}}", "web\nraw"),
        ("{{.Name}}\\t{{.Name}}", "web\tweb"),
        ("no action", "no action"),
    ] {
        assert_eq!(filled(template).as_deref(), Ok(expected), "{template}");
    }
}

#[test]
fn what_is_wrong_is_one_sentence() {
    for (template, says) in [
        ("{{.Nme}}", "Name"),
        ("{{.State.Foo}}", "there are"),
        ("{{.Name.X}}", "no fields"),
        ("{{.Name", "not closed"),
        ("{{if .Name}}x", "end"),
        ("{{end}}", "without a beginning"),
        ("{{jsn .}}", "did you mean json?"),
        ("{{}}", "empty"),
        ("{{\"a}}", "not closed"),
        ("{{(.Name}}", "parenthesis"),
        ("{{index .Args 7}}", "index"),
        ("{{$x}}", "$x"),
        ("{{.Name .Name}}", "no function"),
        ("{{range .Name}}{{end}}", "range"),
    ] {
        let error = filled(template).unwrap_err();
        assert!(error.contains(says) && !error.contains('\n'), "{template}: {error}");
    }
    let deep = "{{if .}}".repeat(10_000);
    assert!(filled(&deep).unwrap_err().contains("deep"));
    let deep = format!("{{{{{}1{}}}}}", "(".repeat(10_000), ")".repeat(10_000));
    assert!(filled(&deep).unwrap_err().contains("deep"));
}

#[test]
fn rows_stand_below_headings() {
    let rows = [json!({ "ID": "1", "Names": "long name" }), json!({ "ID": "2", "Names": "b" })];
    let template = Template::read("table {{.Names}}\\t{{upper .ID}}").unwrap();
    let lines = template.lines(&rows).unwrap();
    assert_eq!(lines, ["NAMES       ID", "long name   1", "b           2"]);
    let json = Template::read("json").unwrap().lines(&rows[1..]).unwrap();
    assert_eq!(json, [r#"{"ID":"2","Names":"b"}"#]);
}

proptest::proptest! {
    #[test]
    fn any_text_ends_in_an_answer(text in "[a-z.{}$\"`()|: -]{0,60}") {
        let _ = filled(&text);
    }
}
