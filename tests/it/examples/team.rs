//! A team: its GitLab and Factory, brought to what `examples/gitlab-ci/setpoint.toml` says by a person, and its
//! project, whose `.gitlab-ci.yml` and template are the committed ones and are run by gitlab-ci-local.

use std::path::PathBuf;
use std::process::Stdio;
use std::sync::Arc;

use jiff::{Timestamp, ToSpan as _};
use setpoint::sandbox::Options;
use setpoint::sandbox::world::{PersonalToken, Source as Place, digest};
use tempfile::TempDir;

use super::example;
use super::forge::{self, Forge};
use crate::assisted::hands::Hands;
use crate::common::plans::DROID;
use crate::common::proxy::Proxy;
use crate::common::{Fixture, Ran, run, tools};

/// A token that may look at everything and change nothing.
pub(super) const READ_TOKEN: &str = "glpat-read-token";
/// Everything that is run beside the binary.
const TOOLS: [&str; 5] = ["gitlab-ci-local", "git", "rsync", "curl", "jq"];

/// Which pipeline runs.
#[derive(Debug, Clone, Copy)]
pub(super) enum Source {
    MergeRequest,
    Push,
    Schedule,
}

impl Source {
    fn variables(self) -> Vec<(&'static str, String)> {
        match self {
            Self::MergeRequest => vec![
                ("CI_PIPELINE_SOURCE", "merge_request_event".to_owned()),
                ("CI_MERGE_REQUEST_IID", "7".to_owned()),
            ],
            Self::Push => vec![("CI_PIPELINE_SOURCE", "push".to_owned())],
            Self::Schedule => vec![("CI_PIPELINE_SOURCE", "schedule".to_owned())],
        }
    }

    /// Variables that are protected are there on the default branch only.
    fn is_protected(self) -> bool {
        !matches!(self, Self::MergeRequest)
    }
}

/// The team.
pub(super) struct Team {
    /// Both sides, and the folder from which a person applied first.
    pub(super) fixture: Fixture,
    /// On every request to both sides.
    pub(super) proxy: Arc<Proxy>,
    /// What else the pipeline talks to.
    pub(super) forge: Forge,
    project: TempDir,
}

impl Team {
    /// Everything is connected, and there is a project; none where a tool is missing.
    pub(super) async fn with_project() -> Option<Self> {
        if TOOLS.iter().filter(|tool| tools::find(tool).is_none()).count() > 0 {
            return None;
        }
        let team = Self::connected().await;
        team.open_project().await;
        Some(team)
    }

    /// Everything is connected, by a person's hands.
    pub(super) async fn connected() -> Self {
        let (fixture, proxy) = Proxy::on(Options::default()).await;
        let team = Self {
            fixture,
            proxy,
            forge: Forge::start().await,
            project: tempfile::tempdir().unwrap(),
        };
        team.set_up().await;
        team
    }

    /// A configuration of the examples with the sandbox's addresses, and a change window that is closed now.
    pub(super) fn config(&self, text: &str) -> String {
        let opens = Timestamp::now().to_zoned(jiff::tz::TimeZone::UTC).date() + 4.days();
        let day = format!("days = [\"{}\"]", opens.strftime("%a").to_string().to_lowercase());
        let sandbox = &self.fixture.sandbox;
        let app = sandbox.factory_app_url();
        let factory = format!("api_url = \"{}\"\napp_url = \"{app}\"", sandbox.factory_api_url());
        let redirect = format!("{}\"", self.fixture.redirect_uri());
        let mut config = text.replace("days = [\"tue\", \"thu\"]", &day);
        for (from, to) in [
            ("https://gitlab.example.com", sandbox.gitlab_url().as_str()),
            (
                "https://api.factory.ai/api/integrations/redirect/gitlab-sh/callback\"",
                &redirect,
            ),
            ("region = \"us\"", &factory),
            ("projects/42/", "projects/1/"),
        ] {
            assert!(config.contains(from), "{from} is not in\n{config}");
            config = config.replace(from, to);
        }
        config
    }

    /// The first apply is a person's, who sees the secret; here it is kept in a file.
    async fn set_up(&self) {
        let fixture = &self.fixture;
        let config = self.config(&example("gitlab-ci/setpoint.toml"));
        let secret = "[application.secret]\nsave = { file = \"secret\" }\nload = { file = \"secret\" }\n";
        fixture.write_config(&config.replace("[user]\n", &format!("{secret}\n[user]\n")));
        fixture.world(|world| {
            world.personal_tokens.push(PersonalToken {
                id: 9001,
                user_id: 1,
                name: "preview".to_owned(),
                token_digest: digest(READ_TOKEN),
                scopes: vec!["read_api".to_owned(), "admin_mode".to_owned()],
                ..PersonalToken::default()
            });
        });
        self.by_hand(&["apply", "--auto-approve", "--outside-window", "first setup"], 3)
            .await;
        let hands = Hands(fixture);
        hands.trust().await;
        let application = fixture.application();
        let secret = std::fs::read_to_string(fixture.path("secret")).unwrap();
        let domain = fixture.sandbox.gitlab_url();
        hands.save(&domain, &application.uid, secret.trim()).await;
        hands.approve_as(DROID).await;
        self.by_hand(&["confirm", "--all"], 0).await;
        self.by_hand(&["plan", "--detailed-exitcode"], 0).await;
    }

    /// Runs the binary in a person's folder.
    pub(super) async fn by_hand(&self, arguments: &[&str], code: i32) {
        let mut command = self.fixture.command(arguments);
        command.env("CI_JOB_TOKEN", self.fixture.sandbox.credentials().gitlab_token);
        run(command).await.expect(code);
    }

    async fn open_project(&self) {
        std::fs::write(self.path(".gitlab-ci.yml"), example("gitlab-ci/.gitlab-ci.yml")).unwrap();
        std::fs::create_dir_all(self.path("templates/setpoint")).unwrap();
        let jobs = example("../templates/setpoint/template.yml");
        std::fs::write(self.path("templates/setpoint/template.yml"), jobs).unwrap();
        std::fs::write(self.path(".gitignore"), example("gitlab-ci/.gitignore")).unwrap();
        let config = self.config(&example("gitlab-ci/setpoint.toml"));
        std::fs::write(self.path("setpoint.toml"), config).unwrap();
        self.git(&["init", "--quiet", "--initial-branch=main"]).await;
        self.git(&[
            "remote",
            "add",
            "origin",
            "git@gitlab.example.com:platform/setpoint.git",
        ])
        .await;
        self.commit().await;
    }

    /// A file in the project.
    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.project.path().join(name)
    }

    /// A file that a job left behind for others.
    pub(super) fn artifact(&self, job: &str, name: &str) -> String {
        let path = self.path(".gitlab-ci-local/artifacts").join(job).join(name);
        std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    }

    /// A file that a job wrote, and that only GitLab reads.
    pub(super) fn left(&self, job: &str, name: &str) -> String {
        let path = self.path(".gitlab-ci-local/builds").join(job).join(name);
        std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    }

    /// Replaces a text in `setpoint.toml`, and commits.
    pub(super) async fn edit(&self, from: &str, to: &str) {
        let text = std::fs::read_to_string(self.path("setpoint.toml")).unwrap();
        assert!(text.contains(from), "{from} is not in\n{text}");
        std::fs::write(self.path("setpoint.toml"), text.replace(from, to)).unwrap();
        self.commit().await;
    }

    /// The droid's direct role in a project, as a number.
    pub(super) fn role_in(&self, path: &str) -> Option<u32> {
        self.fixture.world(|world| {
            let project = Place::Project(world.project_at(path)?.id);
            let droid = world.user_named(DROID)?.id;
            let mut members = world.members.iter();
            let member = members.find(|member| member.source == project && member.user_id == droid)?;
            Some(member.access_level)
        })
    }

    /// Lets an LDAP group own the memberships of the droid's groups from now on: GitLab refuses to change them.
    pub(super) fn refuse_memberships(&self) {
        self.fixture
            .world(|world| world.groups.iter_mut().for_each(|group| group.ldap_locked = true));
    }

    /// The state record.
    pub(super) fn record(&self) -> String {
        self.fixture
            .world(|world| world.terraform_states[0].content.clone())
            .unwrap()
    }

    async fn commit(&self) {
        self.git(&["add", "--all"]).await;
        let who = ["-c", "user.name=Ada", "-c", "user.email=ada@example.com"];
        self.git(&[&who[..], &["commit", "--quiet", "--message", "Change"]].concat())
            .await;
    }

    async fn git(&self, arguments: &[&str]) {
        run(self.tool("git", arguments)).await.expect(0);
    }

    fn tool(&self, name: &str, arguments: &[&str]) -> tokio::process::Command {
        let binary = std::path::Path::new(env!("CARGO_BIN_EXE_setpoint"));
        let path = std::env::var_os("PATH").unwrap();
        let path = [binary.parent().unwrap().to_owned()]
            .into_iter()
            .chain(std::env::split_paths(&path));
        let mut command = tokio::process::Command::new(name);
        command
            .args(arguments)
            .current_dir(self.project.path())
            .env_clear()
            .env("PATH", std::env::join_paths(path).unwrap())
            .env("HOME", self.fixture.folder())
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        command
    }

    /// Runs jobs of a pipeline, or all that are not manual where none is named, with further variables.
    pub(super) async fn pipeline(&self, source: Source, jobs: &[&str], more: &[(&str, &str)]) -> Ran {
        let keys = self.fixture.sandbox.credentials();
        let mut variables = source.variables();
        let mut set = |name, value: &str| variables.push((name, value.to_owned()));
        set("CI_API_V4_URL", &self.forge.url("/api/v4"));
        set("CI_PROJECT_ID", "1");
        set("CI_JOB_TOKEN", keys.gitlab_token);
        set("GITLAB_USER_LOGIN", "ada");
        set("CI_JOB_URL", "https://gitlab.example.com/platform/setpoint/-/jobs/1");
        set("GITLAB_READ_TOKEN", READ_TOKEN);
        set("SETPOINT_NOTE_TOKEN", forge::TOKEN);
        if source.is_protected() {
            set("GITLAB_ADMIN_TOKEN", keys.gitlab_token);
            set("FACTORY_DROID_PASSWORD", keys.droid_password);
            set("SETPOINT_WEBHOOK", &self.forge.url("/hook"));
            set("PUSHGATEWAY_URL", &self.forge.url(""));
        }
        let more = more.iter().map(|(name, value)| (*name, (*value).to_owned()));
        let given: Vec<String> = variables
            .into_iter()
            .chain(more)
            .flat_map(|(name, value)| ["--variable".to_owned(), format!("{name}={value}")])
            .collect();
        let mut arguments = vec![
            "--force-shell-executor",
            "--shell-isolation",
            "--no-artifacts-to-source",
        ];
        if !matches!(source, Source::MergeRequest) {
            // Once is enough, and it takes its time.
            arguments.push("--no-json-schema-validation");
        }
        arguments.extend(given.iter().map(String::as_str));
        arguments.extend(jobs);
        run(self.tool("gitlab-ci-local", &arguments)).await
    }
}
