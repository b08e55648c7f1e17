//! What `setpoint init` writes.

use super::redirect::Expected;
use super::types::{Driver, Region};

/// A commented `setpoint.toml` that has no faults as it stands: the names and addresses in it are examples to replace.
pub fn starter() -> &'static str {
    include_str!("starter.toml")
}

/// What a person was asked for. What is not in it stays as in the starter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answers {
    /// `gitlab.url`.
    pub url: String,
    /// Who does Factory's half.
    pub driver: Driver,
    /// Where the organization lives; sets the redirect URI, too.
    pub region: Region,
    /// The droid's e-mail address.
    pub email: String,
    /// Full paths of groups or projects on which Droids shall work.
    pub paths: Vec<String>,
}

/// The starter with the answers in it.
pub fn starter_for(answers: &Answers) -> String {
    let Answers {
        url,
        driver,
        region,
        email,
        paths,
    } = answers;
    let expected = Expected::new(*region, None, None);
    let roles: Vec<String> = paths
        .iter()
        .map(|path| format!("{} = \"developer\"", quoted(path)))
        .collect();
    let globs: Vec<String> = paths.iter().map(|path| quoted(&format!("{path}/**"))).collect();
    let lines = [
        ("url = \"https://gitlab.example.com\"", format!("url = {}", quoted(url))),
        ("driver = \"assisted\"", format!("driver = {}", quoted(driver.as_str()))),
        (
            "region = \"us\" # or \"eu\"",
            format!("region = {}", quoted(region.as_str())),
        ),
        (
            "# token = { env = \"FACTORY_API_KEY\" }",
            match driver {
                Driver::Assisted => "# token = { env = \"FACTORY_API_KEY\" }".to_owned(),
                Driver::Api => "token = { env = \"FACTORY_API_KEY\" }".to_owned(),
            },
        ),
        (
            "# https://app.factory.ai/api/integrations/redirect/gitlab-sh",
            format!("# {}", expected.before()),
        ),
        (
            "redirect_uri = \"https://api.factory.ai/api/integrations/redirect/gitlab-sh/callback\"",
            format!("redirect_uri = {}", quoted(expected.now())),
        ),
        (
            "email = \"factory-droid@example.com\"",
            format!("email = {}", quoted(email)),
        ),
        ("\"platform\" = \"developer\"", roles.join("\n")),
        ("enable = [\"platform/**\"]", format!("enable = [{}]", globs.join(", "))),
    ];
    let text: Vec<String> = starter()
        .lines()
        .map(|line| {
            let answer = lines.iter().find(|(from, _)| *from == line);
            answer.map_or_else(|| line.to_owned(), |(_, to)| to.clone())
        })
        .collect();
    text.join("\n") + "\n"
}

/// A string of TOML.
fn quoted(text: &str) -> String {
    toml::Value::from(text).to_string()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::{Answers, starter_for};
    use crate::config::{Driver, Region, parse};

    #[test]
    fn every_answer_arrives() {
        let answers = Answers {
            url: "https://git.example.org/root".to_owned(),
            driver: Driver::Api,
            region: Region::Eu,
            email: "droid@example.org".to_owned(),
            paths: vec!["core.team".to_owned(), "web".to_owned()],
        };
        let config = parse(&starter_for(&answers), Path::new("setpoint.toml")).unwrap();
        assert_eq!(config.warnings.render(false, &crate::config::unbroken), "");
        assert_eq!(config.gitlab.url.as_str(), answers.url);
        assert_eq!(
            (config.factory.driver, config.factory.region),
            (answers.driver, answers.region)
        );
        assert!(config.factory.token.is_some());
        assert_eq!(config.desired.user.fields.email, answers.email.as_str().into());
        let members: Vec<String> = config.desired.memberships.keys().map(ToString::to_string).collect();
        assert_eq!(members, answers.paths);
        let enabled: Vec<&str> = config
            .desired
            .repositories
            .enable
            .iter()
            .map(setpoint_core::model::PathPattern::as_str)
            .collect();
        assert_eq!(enabled, ["core.team/**", "web/**"]);
    }
}
