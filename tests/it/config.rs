//! Configurations: what is wrong with one is told all at once, with places, and never with a secret.

use std::fs;
use std::path::{Path, PathBuf};

use proptest::prelude::*;
use setpoint::config;

use crate::common::{run, setpoint};

const MANY_FAULTS: &str = include_str!("config/many_faults.toml");
const SYNTAX_ERRORS: &str = include_str!("config/syntax_errors.toml");

fn shown(text: &str) -> String {
    let error = config::parse(text, Path::new("setpoint.toml")).unwrap_err();
    error.render(false, &config::unbroken)
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).to_owned()
}

fn examples() -> Vec<(PathBuf, String)> {
    let mut examples: Vec<_> = fs::read_dir(root().join("examples"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "toml"))
        .map(|path| (path.clone(), fs::read_to_string(path).unwrap()))
        .collect();
    examples.push((PathBuf::from("starter.toml"), config::starter().to_owned()));
    assert!(examples.len() > 2);
    examples
}

#[test]
fn all_faults_are_reported_at_once() {
    insta::assert_snapshot!(shown(MANY_FAULTS));
}

#[test]
fn all_syntax_errors_are_reported_at_once() {
    insta::assert_snapshot!(shown(SYNTAX_ERRORS));
}

#[test]
fn missing_keys_are_reported_at_their_section() {
    insta::assert_snapshot!(shown(
        "[gitlab]\n[application]\n[user]\nemial = \"droid@example.com\"\n[[change_windows]]\n[guards]\nunlisted = \"keep\"\n"
    ));
}

#[test]
fn a_path_without_quotes_is_one_fault_with_its_own_hint() {
    let with = |line: &str| {
        format!(
            "[gitlab]\nurl = \"https://gitlab.example.com\"\ntoken = {{ env = \"T\" }}\n[application]\nname = \"F\"\n\
             redirect_uri = \"https://api.factory.ai/api/integrations/redirect/gitlab-sh/callback\"\n[user]\nname = \"D\"\nusername = \"d\"\n\
             email = \"d@example.com\"\n[repositories]\nenable = []\n[user.memberships]\n{line}\n"
        )
    };
    insta::assert_snapshot!(shown(&with("team.core.api = \"developer\"")), @r#"
    error: `team.core.api` is a path without quotes in `[user.memberships]`
      --> setpoint.toml:14:1
       |
    14 | team.core.api = "developer"
       | ^^^^
       |
       = hint: a dot begins a table: write `"team/core/api" = …`, or `"team.core.api" = …` where the dot is part of a name
    "#);
    // What is meant as a role is not taken for a path.
    let misspelled = shown(&with("team = { rolle = \"developer\" }"));
    assert!(misspelled.contains("the nearest known key is `role`"), "{misspelled}");
}

#[test]
fn what_is_no_table_is_reported() {
    insta::assert_snapshot!(shown(
        "\u{feff}gitlab = 1\nuser = []\nchange_windows = {}\nfactory = { token = \"canary\", region = 'x' }\n"
    ));
}

#[test]
fn colour_adds_escapes_and_nothing_else() {
    let error = config::parse(MANY_FAULTS, Path::new("setpoint.toml")).unwrap_err();
    let coloured = error.render(true, &config::unbroken);
    assert!(coloured.contains('\u{1b}'));
    assert_eq!(
        anstream::adapter::strip_str(&coloured).to_string(),
        error.render(false, &config::unbroken)
    );
    assert_eq!(
        error.faults().first().map(|fault| (fault.line, fault.column)),
        Some((2, 1))
    );
}

#[test]
fn control_characters_of_the_file_reach_no_terminal() {
    let shown = shown("[gitlab]\nurl = \"\u{202e}x\"\n\"\\u001b[2J\" = 1 # \u{200f}\n");
    assert!(!shown.contains(['\u{1b}', '\u{202e}', '\u{200f}']), "{shown:?}");
}

#[test]
fn a_file_that_cannot_be_read_says_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("setpoint.toml");
    let load = |path: &Path| config::load(path).unwrap_err().to_string();
    let clean = |text: String| text.replace(&folder.path().display().to_string(), "FOLDER");
    insta::assert_snapshot!(clean(load(&path)), @r"
    error: there is no configuration at FOLDER/setpoint.toml
    hint: write a commented starter with `setpoint init`, or name another file with `-c FILE`
    ");
    insta::assert_snapshot!(clean(load(folder.path())), @r"
    error: FOLDER is a folder
    hint: name the file in it, such as `-c FOLDER/setpoint.toml`
    ");
    fs::write(&path, b"[gitlab]\n# caf\xe9\n").unwrap();
    insta::assert_snapshot!(clean(load(&path)), @r"
    error: FOLDER/setpoint.toml is not UTF-8 text (line 2)
    hint: save it as UTF-8, which TOML requires, or name another file with `-c FILE`
    ");
}

#[test]
fn the_schema_is_current() {
    let current = format!("{:#}\n", config::schema());
    let committed = fs::read_to_string(root().join("schema/setpoint.schema.json")).unwrap_or_default();
    assert!(
        current == committed,
        "run `cargo run -- schema > schema/setpoint.schema.json`"
    );
}

#[test]
fn every_example_fits_the_schema_and_has_no_faults() {
    let schema = config::schema();
    let validator = jsonschema::validator_for(&schema).unwrap();
    for (path, text) in examples() {
        let value: serde_json::Value = toml::from_str(&text).unwrap();
        let errors: Vec<String> = validator.iter_errors(&value).map(|error| error.to_string()).collect();
        assert!(errors.is_empty(), "{}: {errors:?}", path.display());
        if let Err(error) = config::parse(&text, &path) {
            panic!("{error}");
        }
        for (number, line) in text.lines().enumerate().filter(|(_, line)| line.len() > 80) {
            assert!(
                line.contains("://"),
                "{}:{}: longer than 80 columns",
                path.display(),
                number + 1
            );
        }
    }
}

#[test]
fn the_full_example_has_every_key_of_the_schema() {
    let full: toml::Table = toml::from_str(&fs::read_to_string(root().join("examples/full.toml")).unwrap()).unwrap();
    let schema = config::schema();
    for (section, property) in schema["properties"].as_object().unwrap() {
        let name = property
            .pointer("/allOf/0/$ref")
            .or_else(|| property.pointer("/items/$ref"));
        let table = match name.and_then(serde_json::Value::as_str) {
            Some(pointer) => schema.pointer(&pointer[1..]).unwrap(),
            None => property,
        };
        let written = full[section].as_array().map_or(&full[section], |all| &all[0]);
        for key in table["properties"].as_object().unwrap().keys() {
            // A record has one place, and the key of an authenticator another: the example shows the HTTP backend, and `totp`.
            let in_place_of = [("state", "path"), ("user", "totp_secret")];
            assert!(
                written.get(key).is_some() || in_place_of.contains(&(section.as_str(), key.as_str())),
                "examples/full.toml lacks {section}.{key}"
            );
        }
    }
}

/// Where a secret may stand by mistake: `{}` is the secret.
const MISTAKES: [&str; 14] = [
    "[gitlab]\nurl = 1\ntoken = \"{}\"\n",
    "[gitlab]\ntokne = \"{}\"\n",
    "[gitlab]\nurl = \"https://root:{}@gitlab.example.com\"\n",
    "[gitlab]\ntoken = { env = \"{}\" }\n",
    "[gitlab]\ntoken = { value = \"{}\" }\n",
    "[gitlab]\ntoken = [\"{}\"]\n",
    "[gitlab.token]\nenv = \"A\"\nfile = \"{}\"\n",
    "gitlab = { url = 1, token = { command = [\"echo\", \"{}\", 1] } }\n",
    "[user]\npassword = '''\n{}\n'''\nname = 1\n",
    "[user]\npassword = \"\"\"{}\"\"\"\ntotp_secret = \"{}\"\n",
    "[user.memberships]\n\"a/b\" = 1\npassword = \"{}\"\n",
    "[application]\nsecret = \"{}\"\n",
    "[application.secret]\nload = \"{}\"\nvalue = \"{}\"\n",
    "[state]\nurl = \"x\"\npassword = \"{}\"\n[factory]\nprivate_token = \"{}\"\n",
];

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// A secret in the wrong place, in a file that is damaged besides, stays out of every diagnostic.
    #[test]
    fn no_secret_is_ever_shown(
        mistakes in prop::collection::vec(prop::sample::select(&MISTAKES[..]), 1..4),
        damage in prop::option::of((any::<prop::sample::Index>(), prop::sample::select(&["\"", "'", "[", "]", "=", "{", "}", "#", "x"][..]))),
        cut in prop::option::of(any::<prop::sample::Index>()),
    ) {
        const SECRET: &str = "canary-4711";
        let mut text = mistakes.concat().replace("{}", SECRET);
        if let Some((place, inserted)) = damage {
            text.insert_str(place.index(text.len() + 1), inserted);
        }
        if let Some(cut) = cut {
            text.truncate(cut.index(text.len() + 1));
        }
        if let Err(error) = config::parse(&text, Path::new("setpoint.toml")) {
            for shown in [error.render(false, &config::unbroken), error.render(true, &config::unbroken), format!("{error:?} {:?}", error.faults())] {
                prop_assert!(!shown.contains(SECRET), "{text}\n{shown}");
            }
        }
    }

    /// Whatever the text, reading ends with a configuration or with faults that have places.
    #[test]
    fn any_text_is_read_or_refused(text in "[a-z\\[\\]\"'=#{}., \n\t\u{e4}\u{1f600}]{0,80}") {
        let error = config::parse(&text, Path::new("setpoint.toml")).unwrap_err();
        prop_assert!(!error.faults().is_empty());
        prop_assert!(error.render(false, &config::unbroken).starts_with("error: "));
    }
}

#[test]
fn a_line_of_memberships_is_shown_where_its_value_was_meant_as_a_role() {
    let shown = |line: &str| {
        let text = format!("[user.memberships]\n{line}\n");
        let error = config::parse(&text, Path::new("setpoint.toml")).unwrap_err();
        error.render(false, &config::unbroken)
    };
    assert!(shown("pl[atform = \"developer\"").contains("pl[atform"));
    assert!(shown("pl[atform = 30").contains("pl[atform"));
    let hidden = shown("pas[sword = \"canary-4711\"");
    assert!(!hidden.contains("canary"), "{hidden}");
}

/// A sound configuration of the fewest keys.
const SMALLEST: &str = r#"[gitlab]
url = "https://gitlab.example.com"
token = { env = "GITLAB_TOKEN" }
[application]
redirect_uri = "https://api.factory.ai/api/integrations/redirect/gitlab-sh/callback"
trusted = true
[user]
username = "factory-droid"
email = "factory-droid@example.com"
[user.memberships]
"platform" = "developer"
[repositories]
enable = ["platform/**", "web"]
[guards]
max_removals = 10
"#;

/// Each fault or warning on a line of its own.
fn told(from: &str, to: &str) -> String {
    assert!(SMALLEST.contains(from), "{from}");
    let text = SMALLEST.replace(from, to);
    let faults: Vec<String> = match config::parse(&text, Path::new("setpoint.toml")) {
        Ok(config) => config.warnings.faults().iter().map(line).collect(),
        Err(error) => error.faults().iter().map(line).collect(),
    };
    faults.join("\n")
}

fn line(fault: &config::Fault) -> String {
    format!("{}:{} {} / {}", fault.line, fault.column, fault.message, fault.hint)
}

#[test]
fn one_slip_is_one_fault_with_a_hint_that_fits() {
    assert_eq!(told("web", "web"), "");
    insta::assert_snapshot!(told("\"web\"]", "\"web"));
    insta::assert_snapshot!(told("\"web\"]", "\"web\""));
    insta::assert_snapshot!(told("= true", "= yes"));
    insta::assert_snapshot!(told("\"platform\" =", "platform/web ="));
    insta::assert_snapshot!(told("\"platform\" =", "\"C:\\Users\" ="));
    insta::assert_snapshot!(told(".example.com\"\ntoken", ".example.com/api/v4\"\ntoken"));
    // Each of these was told as a broken number, or as something for experts.
    for (correct, slip, fitting) in [
        ("= true", "= no", "write `false`"),
        ("= true", "= True", "write `true`"),
        ("= \"factory-droid\"", "= factory-droid", "put the text into quotes"),
        ("= \"factory-droid\"", "= nobody", "put the text into quotes"),
        ("= \"factory-droid\"", "=", "write it behind the `=`"),
        ("username =", "username:", "write `key = value`"),
        (
            "= \"factory-droid\"",
            "= \"factory-droid\" name = 1",
            "write each key on a line of its own",
        ),
        (
            "\"GITLAB_TOKEN\" }",
            "\"GITLAB_TOKEN\"",
            "close the table before it with `}`",
        ),
        (
            "\"factory-droid\"",
            "\"factory\\droid\"",
            "write a backslash as `\\\\`, or put the text into single quotes",
        ),
    ] {
        let told = told(correct, slip);
        assert!(told.lines().count() == 1 && told.ends_with(fitting), "{slip}: {told}");
    }
}

#[test]
fn paths_that_gitlab_cannot_have_are_faults() {
    for path in [
        "platform/web.git",
        "git@gitlab.example.com:platform/web",
        "git@gitlab.example.com/platform/web",
        "platform.git/**",
        "platform/-",
        "https://gitlab.example.com/platform/web",
        "platform/web/-/tree/main",
        "platform/../secret",
        "platform\\\\web",
        "platform/\\u202eweb",
        "platform/\\u0007web",
        "platform//web",
    ] {
        for (place, with_it) in [
            ("\"web\"]", format!("\"{path}\"]")),
            ("[guards]", format!("except = [\"{path}\"]\n[guards]")),
            ("\"platform\" =", format!("\"{path}\" =")),
        ] {
            let told = told(place, &with_it);
            assert_eq!(told.lines().count(), 1, "{path}: {told}");
        }
    }
}

#[test]
fn what_is_probably_not_meant_is_a_warning() {
    let uri = "https://api.factory.ai/api/integrations/redirect/gitlab-sh/callback";
    assert_eq!(
        told(uri, "https://app.factory.ai/api/integrations/redirect/gitlab-sh"),
        ""
    );
    insta::assert_snapshot!(told(uri, &uri.replace("api.factory", "api.eu.factory")));
    insta::assert_snapshot!(told(uri, &uri.replace("gitlab-sh", "gitlab")));
    insta::assert_snapshot!(told("trusted = true", "scopes = [\"api\", \"read_user\"]"));
    insta::assert_snapshot!(told(
        "username = \"factory-droid\"",
        "username = \"service_account_12\""
    ));
}

#[test]
fn a_domain_that_factory_cannot_reach_is_a_fault() {
    insta::assert_snapshot!(told("https://gitlab.example.com", "https://10.0.0.7"));
    let elsewhere = "https://10.0.0.7\"\nexternal_url = \"https://gitlab.example.com";
    assert_eq!(told("https://gitlab.example.com", elsewhere), "");
    assert_eq!(told("https://gitlab.example.com", "http://127.0.0.1:8080"), "");
}

#[test]
fn a_file_that_is_not_there_is_a_fault() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("setpoint.toml");
    fs::write(&path, SMALLEST.replace("token =", "ca_file = \"corp-ca.pem\"\ntoken =")).unwrap();
    let error = config::load(&path).unwrap_err();
    assert_eq!(
        error.faults().iter().map(|fault| fault.line).collect::<Vec<_>>(),
        [3],
        "{error}"
    );
    let certificate = root().join("tests/it/fixtures/ca.pem");
    fs::copy(certificate, folder.path().join("corp-ca.pem")).unwrap();
    assert!(config::load(&path).is_ok());
    fs::write(folder.path().join("corp-ca.pem"), "").unwrap();
    let error = config::load(&path).unwrap_err();
    assert!(error.to_string().contains("holds no certificate"), "{error}");
}

/// All that is wrong with a client certificate and its key, whatever section names them; of a key that is not there only
/// whoever uses it needs to know.
#[cfg(unix)]
#[test]
fn a_client_certificate_has_its_own_private_key() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let pair = |name: &str| {
        let key = rcgen::KeyPair::generate().unwrap();
        let certificate = rcgen::CertificateParams::new(Vec::new())
            .unwrap()
            .self_signed(&key)
            .unwrap();
        fs::write(path(&format!("{name}.pem")), certificate.pem()).unwrap();
        fs::write(path(&format!("{name}.key")), key.serialize_pem()).unwrap();
        fs::set_permissions(path(&format!("{name}.key")), fs::Permissions::from_mode(0o600)).unwrap();
    };
    pair("one");
    pair("two");
    let found = |section: &str, certificate: &str, key: &str| {
        let line = |name: &str, value: &str| match value {
            "" => String::new(),
            value => format!("{name} = \"{value}\"\n"),
        };
        let keys = format!(
            "{}{}",
            line("client_cert_file", certificate),
            line("client_key_file", key)
        );
        let text = match section {
            "gitlab" => SMALLEST.replace("token =", &format!("{keys}token =")),
            "state" => format!("{SMALLEST}\n[state]\nurl = \"https://state.example.com/x\"\n{keys}"),
            other => format!("{SMALLEST}\n[{other}]\n{keys}"),
        };
        fs::write(path("setpoint.toml"), text).unwrap();
        let told = |fault: &config::Fault| format!("{:?} {} / {}", fault.severity, fault.message, fault.hint);
        match config::load(&path("setpoint.toml")) {
            Ok(config) => config.warnings.faults().iter().map(told).collect::<Vec<_>>(),
            Err(error) => error.faults().iter().map(told).collect(),
        }
    };
    for section in ["gitlab", "factory", "state", "notify"] {
        assert_eq!(found(section, "one.pem", "one.key"), Vec::<String>::new(), "{section}");
        for (certificate, key, said) in [
            (
                "one.pem",
                "two.key",
                format!("Error `{section}.client_key_file` cannot be used: the key in"),
            ),
            (
                "one.pem",
                "one.pem",
                format!("Error `{section}.client_key_file` cannot be used: client_key_file"),
            ),
            (
                "one.key",
                "one.key",
                format!("Error `{section}.client_cert_file` cannot be used: client_cert_file"),
            ),
            (
                "one.pem",
                "",
                format!("Error `{section}.client_cert_file` has no `{section}.client_key_file`"),
            ),
            (
                "",
                "one.key",
                format!("Error `{section}.client_key_file` has no `{section}.client_cert_file`"),
            ),
            (
                "no.pem",
                "one.key",
                format!("Error `{section}.client_cert_file` names no file that is there"),
            ),
            (
                "one.pem",
                "no.key",
                format!("Warning `{section}.client_key_file` names no file that is there"),
            ),
        ] {
            let faults = found(section, certificate, key);
            assert_eq!(faults.len(), 1, "{faults:?}");
            assert!(faults[0].starts_with(&said), "{said}\n{faults:?}");
        }
    }
    fs::set_permissions(path("one.key"), fs::Permissions::from_mode(0o644)).unwrap();
    let faults = found("gitlab", "one.pem", "one.key");
    assert!(
        faults.len() == 1
            && faults[0].starts_with("Warning")
            && faults[0].contains("everybody on this machine may read"),
        "{faults:?}"
    );
}

#[test]
fn headers_that_make_another_request_are_faults() {
    let with = |header: &str| {
        told(
            "token =",
            &format!("headers = {{ \"{header}\" = {{ env = \"GATEWAY\" }} }}\ntoken ="),
        )
    };
    for harmless in ["CF-Access-Client-Id", "X-Api-Key", "X-Forwarded-Client-Cert", "apikey"] {
        assert_eq!(with(harmless), "", "{harmless}");
    }
    for (headers, said) in [
        (
            &["Authorization", "PRIVATE-TOKEN", "Cookie", "host", "Content-Length"][..],
            "which Setpoint sets itself",
        ),
        (
            &["Connection", "Transfer-Encoding", "Upgrade", "TE", "Keep-Alive"],
            "which is about one connection",
        ),
        (
            &["Sudo", "X-HTTP-Method-Override", "If-None-Match", "Range"],
            "which makes another request of each",
        ),
        (&["", "a b", "a:b", "ä", "a\\nb"], "no name of a header"),
    ] {
        for header in headers {
            let found = with(header);
            assert!(found.lines().count() == 1 && found.contains(said), "{header}: {found}");
        }
    }
    let twice = "headers = { X-A = { env = \"A\" }, x-a = { env = \"B\" } }\ntoken =";
    assert!(
        told("token =", twice).contains("sets x-a twice"),
        "{}",
        told("token =", twice)
    );
    // What stands in the place of a reference may be the value itself.
    let shown = shown(&SMALLEST.replace("token =", "headers = { X-A = \"canary-value\" }\ntoken ="));
    assert!(
        shown.contains("`gitlab.headers.X-A` is written out") && !shown.contains("canary"),
        "{shown}"
    );
}

#[test]
fn a_proxy_is_an_address_without_credentials_or_a_reference() {
    let with = |proxy: &str| told("token =", &format!("proxy = {proxy}\ntoken ="));
    for sound in [
        "\"none\"",
        "\"http://proxy.example.com:3128\"",
        "\"proxy.example.com:3128\"",
        "{ env = \"GITLAB_PROXY\" }",
        "{ command = [\"vault\", \"read\"] }",
    ] {
        assert_eq!(with(sound), "", "{sound}");
    }
    for (wrong, said) in [
        (
            "\"http://me:canary@proxy.example.com\"",
            "credentials within the address",
        ),
        ("\"socks5://proxy.example.com\"", "not the address of a proxy"),
        ("\"\"", "not the address of a proxy"),
        ("\"http://proxy.example.com/path\"", "a path"),
        ("3128", "has to be a string"),
        (
            "{ address = \"http://proxy.example.com\" }",
            "unknown key in the reference",
        ),
    ] {
        let found = with(wrong);
        assert!(found.lines().count() == 1 && found.contains(said), "{wrong}: {found}");
        assert!(!found.contains("canary"), "{found}");
    }
}

#[tokio::test]
async fn validate_gives_faults_and_warnings_with_their_ranges() {
    let folder = tempfile::tempdir().unwrap();
    let json = async |text: String, code: i32| {
        fs::write(folder.path().join("setpoint.toml"), text).unwrap();
        let ran = run(setpoint(folder.path(), &["validate", "--format", "json"])).await;
        ran.expect(code).json()
    };
    let found = json(SMALLEST.replace("max_removals = 10", "max_removal = -1"), 1).await;
    assert_eq!(found["valid"], false);
    assert_eq!(
        found["faults"][0],
        serde_json::json!({
            "severity": "error",
            "message": "unknown key `max_removal` in `[guards]`",
            "hint": "the nearest known key is `max_removals`",
            "range": { "start": { "line": 15, "column": 1 }, "end": { "line": 15, "column": 12 } },
        })
    );
    let warned = json(SMALLEST.replace("api.factory", "api.eu.factory"), 0).await;
    assert_eq!(warned["valid"], true);
    assert_eq!(warned["faults"][0]["severity"], "warning");
    assert_eq!(warned["faults"][0]["range"]["start"]["line"], 5);

    let missing = folder.path().join("none.toml").display().to_string();
    let ran = run(setpoint(
        folder.path(),
        &["validate", "--format", "json", "-c", &missing],
    ))
    .await;
    assert_eq!(ran.expect(1).json()["faults"][0]["range"], serde_json::Value::Null);
    let ran = run(setpoint(folder.path(), &["validate", "-c", &missing]))
        .await
        .expect(1);
    assert!(ran.stderr.ends_with('\n'), "{:?}", ran.stderr);
}
