//! Any text as a configuration, and any damage around a secret that stands where a secret may stand by mistake.

use std::path::Path;

use super::expect_harmless;
use crate::config::parse;

/// A secret that looks like none, so that only its place gives it away.
const CANARY: &str = "c4n4ry-9f3b1d";

/// Where it stands: in the right key and the wrong form.
const PLACES: [&str; 12] = [
    "[gitlab]\ntoken = \"{}\"\n",
    "[gitlab]\ntoken = '{}'\n",
    "[gitlab]\ntoken = \"{}\n",
    "[gitlab]\ntoken = {}\n",
    "[gitlab.admin_session]\npassword = \"\"\"\n{}\"\"\"\n",
    "[gitlab.admin_session]\ntotp_secret = [\"{}\"]\n",
    "[user]\npassword = { value = \"{}\" }\n",
    "[user]\npassword = { command = [\"echo\", \"{}\", 1] }\n",
    "[user]\npassword.value = \"{}\"\n",
    "[factory]\ntoken = { env = \"A\", file = \"{}\" }\n",
    "factory = { region = 1, token = \"{}\" }\n",
    "[application]\nsecret = \"{}\"\n",
];

/// The first byte chooses the place of the secret, which then stands in the place of the first `%` after a document
/// that is sound TOML so far; what follows is arbitrary.
pub fn config(data: &[u8]) {
    let Some((choice, rest)) = data.split_first() else {
        return;
    };
    let Ok(text) = std::str::from_utf8(rest) else { return };
    read(text);
    let (before, after) = text.split_once('%').unwrap_or(("", text));
    if text.contains(CANARY) || before.parse::<toml::Table>().is_err() {
        return;
    }
    let place = PLACES[usize::from(*choice) % PLACES.len()];
    let said = read(&format!("{before}\n{}{after}", place.replace("{}", CANARY)));
    assert!(!said.contains(CANARY), "{said}");
}

/// All that is said about a text.
fn read(text: &str) -> String {
    let file = Path::new("setpoint.toml");
    let error = match parse(text, file) {
        Ok(config) => {
            assert!(
                parse(text, file).is_ok_and(|again| again.desired == config.desired && again.digest == config.digest)
            );
            return format!("{config:?}");
        }
        Err(error) => error,
    };
    assert!(!error.faults().is_empty());
    for fault in error.faults() {
        assert!(
            fault.line >= 1 && fault.line <= text.matches('\n').count() + 1,
            "{fault:?}"
        );
        assert!(!fault.message.is_empty() && !fault.hint.is_empty(), "{fault:?}");
    }
    let said = format!(
        "{}\n{:?}",
        error.render(false, &crate::config::unbroken),
        error.faults()
    );
    expect_harmless(&error.render(false, &crate::config::unbroken));
    expect_harmless(&error.render(true, &crate::config::unbroken));
    said
}
