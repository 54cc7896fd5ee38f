//! The `renkei-gate` program on files of resources.
#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot prepare its input should stop"
)]

use std::process::Command;

fn run(name: &str, lines: &[&str]) -> (Option<i32>, String) {
    let file = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    std::fs::write(&file, lines.join("\n")).unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_renkei-gate"))
        .arg(&file)
        .output()
        .unwrap();
    let printed = String::from_utf8(output.stdout).unwrap();
    (
        output.status.code(),
        printed.replace(&format!("{}:", file.display()), "line "),
    )
}

const SOUND: &str = r#"{"resourceType":"Patient","id":"p1","birthDate":"1939-02-15"}"#;

#[test]
fn sound_files_pass() {
    let bundle = format!(
        r#"{{"resourceType":"Bundle","type":"collection","entry":[{{"resource":{SOUND}}}]}}"#
    );
    assert_eq!(
        run("sound.ndjson", &[SOUND, "", &bundle]),
        (Some(0), "3 resources, 0 differences\n".to_owned())
    );
}

#[test]
fn differences_are_listed_with_their_place() {
    let doubled =
        r#"{"resourceType":"Patient","id":"p2","birthDate":"1939-02-15","birthDate":"1940"}"#;
    let bundle = format!(
        r#"{{"resourceType":"Bundle","id":"b","type":"collection","colour":1,"entry":[{{"resource":{doubled}}},{{"resource":{{"resourceType":"Observation"}}}}]}}"#
    );
    let (code, printed) = run("broken.ndjson", &[SOUND, &bundle, "no json"]);
    assert_eq!(code, Some(65));
    assert_eq!(
        printed,
        "line 2 Patient/p2 birthDate doubled\n\
         line 2 Observation/- - not FHIR R4: missing status, at the resource\n\
         line 2 Bundle/b colour lost\n\
         line 3 -/- - not JSON, at line 1 column 2\n\
         5 resources, 4 differences\n"
    );
}

#[test]
fn wrong_use_has_its_own_exit_codes() {
    let program = env!("CARGO_BIN_EXE_renkei-gate");
    assert_eq!(Command::new(program).status().unwrap().code(), Some(64));
    assert_eq!(
        Command::new(program)
            .arg("does-not-exist.ndjson")
            .status()
            .unwrap()
            .code(),
        Some(66)
    );
}
