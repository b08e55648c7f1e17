//! From text to what is desired, or to all the faults of the text with their places.
//!
//! The way through the folder: the text becomes a tree of values with places (the `toml` crate); [`schema()`], derived
//! from the types in `raw`, is walked over that tree and finds unknown keys, wrong types and missing keys, and takes
//! them out; what is left becomes `raw`'s types, over which a table of small checks of meaning runs. Both lists of
//! faults are shown together, sorted by place. Only a file without faults is converted into a [`Config`].

mod check;
mod convert;
mod fault;
mod nearest;
mod raw;
mod redact;
mod redirect;
mod reference;
mod schema;
mod starter;
mod syntax;
mod types;
mod uri;
mod walk;

use std::path::Path;

use serde::Deserialize as _;
use toml::de::DeTable;

pub use fault::{Broken, ConfigError, Fault, Severity, Warnings, unbroken};
pub use redirect::Expected as ExpectedRedirects;
pub use schema::schema;
pub use starter::{Answers, starter, starter_for};
pub use types::{
    AdminSessionConfig, AdminSignIn, Config, Driver, DroidConfig, FactoryConfig, GitlabConfig, HttpStateConfig,
    ProxyConfig, Region, SaveTo, SecretStoreConfig, SessionUse, StateConfig, WayConfig,
};
pub use uri::{not_public, not_public_address};

use fault::Finding;
use raw::RawConfig;

use crate::files;

/// No configuration is larger; a file that is was named by mistake.
const MAX_BYTES: u64 = 16 * 1024 * 1024;

/// Reads a configuration. The error is shown by [`ConfigError::render`].
pub fn load(file: &Path) -> Result<Config, ConfigError> {
    parse_with(&text(file)?, file, true)
}

/// The text of a configuration as it stands in its file.
pub(crate) fn text(file: &Path) -> Result<String, ConfigError> {
    String::from_utf8(read(file)?).map_err(|error| {
        let sound = &error.as_bytes()[..error.utf8_error().valid_up_to()];
        let line = sound.split(|byte| *byte == b'\n').count();
        ConfigError::unreadable(
            file,
            format!("{} is not UTF-8 text (line {line})", file.display()),
            "save it as UTF-8, which TOML requires, or name another file with `-c FILE`",
        )
    })
}

fn read(file: &Path) -> Result<Vec<u8>, ConfigError> {
    let name = file.display();
    let fail = |error: &std::io::Error| match error.kind() {
        std::io::ErrorKind::NotFound => ConfigError::unreadable(
            file,
            format!("there is no configuration at {name}"),
            "write a commented starter with `setpoint init`, or name another file with `-c FILE`",
        ),
        std::io::ErrorKind::PermissionDenied => ConfigError::unreadable(
            file,
            format!("{name} may not be read"),
            "give the user that runs Setpoint the right to read it",
        ),
        std::io::ErrorKind::IsADirectory => ConfigError::unreadable(
            file,
            format!("{name} is a folder"),
            format!(
                "name the file in it, such as `-c {}`",
                file.join("setpoint.toml").display()
            ),
        ),
        _ => ConfigError::unreadable(
            file,
            format!("{name} cannot be read: {error}"),
            "check the path, or name another file with `-c FILE`",
        ),
    };
    files::read(file, MAX_BYTES).map_err(|error| fail(&error))
}

/// Reads the text of a configuration that might be at `file`: relative paths in it start there. Files that it names are
/// not looked for.
pub fn parse(text: &str, file: &Path) -> Result<Config, ConfigError> {
    parse_with(text, file, false)
}

fn parse_with(text: &str, file: &Path, looks_for_files: bool) -> Result<Config, ConfigError> {
    let digest = crate::digest::sha256(text);
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let schema = schema();
    let (mut tree, errors) = DeTable::parse_recoverable(text);
    let mut hidden = redact::in_document(tree.get_ref());
    if !errors.is_empty() {
        let findings: Vec<Finding> = errors.iter().map(|error| syntax::finding(text, error)).collect();
        hidden.extend(
            findings
                .iter()
                .filter_map(|finding| redact::at_syntax_error(text, finding.span.start, &schema)),
        );
        return Err(ConfigError::faulty(
            file,
            text,
            &hidden,
            syntax::without_consequences(text, findings),
        ));
    }
    let faulty = |findings| ConfigError::faulty(file, text, &hidden, findings);
    let structure = walk::walk(&schema, tree.get_mut(), text.trim_end().len());
    let mut findings = structure.findings;
    let raw = match RawConfig::deserialize(toml::de::Deserializer::from(tree)) {
        Ok(raw) => raw,
        Err(error) => {
            // No text of the parser's: it quotes values.
            findings.push(Finding::new(
                error.span().unwrap_or(0..0),
                "this does not fit",
                BY_MISTAKE,
            ));
            return Err(faulty(findings));
        }
    };
    findings.extend(check::check(&check::Facts {
        raw: &raw,
        broken: &structure.broken,
        folder: looks_for_files.then(|| file.parent().unwrap_or(Path::new(""))),
    }));
    if findings.iter().any(|finding| finding.severity == Severity::Error) {
        return Err(faulty(findings));
    }
    let mut config = convert::config(&raw, file, digest)
        .ok_or_else(|| faulty(vec![Finding::new(0..0, "the configuration cannot be used", BY_MISTAKE)]))?;
    config.warnings = Warnings::new(file, text, &hidden, findings);
    Ok(config)
}

/// For faults that the walk and the checks should have found first.
const BY_MISTAKE: &str = "compare the file with `setpoint schema`; this fault should have been explained better";

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::{Config, Driver, StateConfig, parse};
    use crate::model::{Role, SignIn};
    use crate::secrets::SecretRef;

    fn example(name: &str) -> Config {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples").join(name);
        parse(&std::fs::read_to_string(&file).unwrap(), &file).unwrap()
    }

    #[test]
    fn the_quickstart_gets_the_defaults() {
        let config = example("quickstart.toml");
        assert_eq!(config.factory.driver, Driver::Api);
        assert_eq!(config.factory.api_url.as_str(), "https://api.factory.ai/");
        assert_eq!(config.desired.connection.domain.as_str(), "https://gitlab.example.com");
        let application = &config.desired.application;
        assert_eq!(
            application.scopes.as_ref().known().map(std::collections::BTreeSet::len),
            Some(7)
        );
        assert!(application.trusted == crate::model::Known::Known(true) && application.confidential);
        assert_eq!(config.droid.sign_in, Some(SignIn::Password));
        assert_eq!(
            config.desired.memberships[&crate::model::FullPath::new("platform")],
            Role::Developer.into()
        );
        let StateConfig::File(path) = config.state else {
            panic!("the state is a file by default");
        };
        assert!(path.ends_with("examples/.setpoint/state.json"), "{}", path.display());
    }

    #[test]
    fn every_key_of_the_full_example_arrives() {
        let config = example("full.toml");
        let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples");
        assert_eq!(config.gitlab.way.ca_file, Some(beside.join("corp-ca.pem")));
        let session = config.gitlab.admin_session.unwrap();
        assert_eq!(session.totp_secret(), Some(&SecretRef::File(beside.join("totp.key"))));
        assert_eq!(config.desired.user.previously, ["droid"]);
        assert_eq!(config.change_windows.len(), 2);
        assert!(config.secret.save.is_some() && config.secret.load.is_some());
        let StateConfig::Http(state) = config.state else {
            panic!("the state has a URL");
        };
        assert_eq!(
            (state.lock_method.as_str(), state.unlock_method.as_str()),
            ("POST", "DELETE")
        );
    }
}
