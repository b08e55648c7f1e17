//! Questions that many tests ask: what a plan says of an address, and whether both sides are as they should be.

use serde_json::Value;
use setpoint::sandbox::world::{Application, User, World, digest};

use super::{Fixture, Ran};

/// The name of the application in the fixture's configuration.
pub(crate) const APPLICATION: &str = "Factory Integration";
/// The droid in the fixture's configuration.
pub(crate) const DROID: &str = "factory-droid";

/// The droid as an account that is there before Setpoint comes.
pub(crate) fn add_droid<'a>(world: &'a mut World, password: &str) -> &'a mut User {
    let (id, now) = (world.next_id("user"), world.now());
    world.users.push(User {
        id,
        username: DROID.to_owned(),
        name: "Factory Droid".to_owned(),
        email: "factory-droid@example.com".to_owned(),
        confirmed_at: Some(now),
        password_digest: digest(password),
        created_at: now,
        ..User::default()
    });
    world.user_mut(id).expect("it was made")
}

/// The change of an address in a plan as data, if there is one.
pub(crate) fn find<'a>(plan: &'a Value, address: &str) -> Option<&'a Value> {
    plan["changes"]
        .as_array()
        .expect("a plan has changes")
        .iter()
        .find(|change| change["address"] == address)
}

/// The change of an address in a plan as data.
#[track_caller]
pub(crate) fn change<'a>(plan: &'a Value, address: &str) -> &'a Value {
    match find(plan, address) {
        Some(change) => change,
        None => panic!("no change of {address} in {plan:#}"),
    }
}

/// The paths of what differs in a change.
pub(crate) fn differing(change: &Value) -> Vec<&str> {
    let attributes = change["attributes"].as_array().expect("a change has attributes");
    attributes
        .iter()
        .filter_map(|attribute| attribute["path"].as_str())
        .collect()
}

/// The notes of a change as one text.
pub(crate) fn notes(change: &Value) -> String {
    let notes = change["notes"].as_array().expect("a change has notes");
    notes.iter().filter_map(Value::as_str).collect::<Vec<_>>().join("\n")
}

/// Text without its line breaks and indentation, so that wrapping does not matter.
pub(crate) fn unwrapped(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

impl Fixture {
    /// Adds the administrator's web session to the configuration.
    pub(crate) fn give_admin_session(&self) {
        self.edit_config(
            "\n[factory]",
            "\n[gitlab.admin_session]\nusername = \"root\"\npassword = { env = \"GITLAB_ADMIN_PASSWORD\" }\n\n[factory]",
        );
    }

    /// `apply` without a question.
    pub(crate) async fn apply(&self) -> Ran {
        self.run(&["apply", "--auto-approve"]).await
    }

    /// The plan as data.
    pub(crate) async fn plan(&self) -> Value {
        self.run(&["plan", "--format", "json"]).await.expect(0).json()
    }

    /// Requires that there is nothing left to do.
    pub(crate) async fn expect_nothing_to_do(&self, when: &str) {
        let ran = self.run(&["plan", "--detailed-exitcode"]).await;
        assert_eq!(ran.code, 0, "{when}\n{}\n{}", ran.stdout, ran.stderr);
    }

    /// Looks at the sandbox's world or changes it.
    pub(crate) fn world<R>(&self, f: impl FnOnce(&mut World) -> R) -> R {
        self.sandbox.with_world(f)
    }

    /// Changes an account behind Setpoint's back.
    pub(crate) fn change_user(&self, username: &str, f: impl FnOnce(&mut User)) {
        self.world(|world| {
            let id = world.user_named(username).expect("the account is there").id;
            f(world.user_mut(id).expect("the account is there"));
        });
    }

    /// Ends Factory's authorization, so that somebody has to sign in as the droid.
    pub(crate) fn disconnect(&self) {
        self.world(|world| {
            let integration = world.factory.integration.as_mut().expect("an integration");
            integration.authorization = None;
        });
    }

    /// Changes the one application behind Setpoint's back.
    pub(crate) fn change_application(&self, f: impl FnOnce(&mut Application)) {
        let id = self.application().id;
        self.world(|world| {
            let mut applications = world.applications.iter_mut();
            f(applications.find(|one| one.id == id).expect("it is there"));
        });
    }

    /// The one application of the configured name.
    #[track_caller]
    pub(crate) fn application(&self) -> Application {
        let found = self.world(|world| {
            let ours = world.applications.iter().filter(|one| one.name == APPLICATION);
            ours.cloned().collect::<Vec<_>>()
        });
        match <[Application; 1]>::try_from(found) {
            Ok([application]) => application,
            Err(found) => panic!("there are {} applications: {found:#?}", found.len()),
        }
    }

    /// Requires that Factory uses the one application with its present secret and acts as the droid.
    #[track_caller]
    pub(crate) fn expect_connected(&self, when: &str) {
        let application = self.application();
        let (integration, droid) = self.world(|world| {
            let droid = world.user_named(DROID).map(|user| user.id);
            (world.factory.integration.clone(), droid)
        });
        let integration = integration.unwrap_or_else(|| panic!("{when}: Factory has no integration"));
        assert_eq!(integration.application_id, application.uid, "{when}");
        assert_eq!(
            digest(&integration.secret),
            application.secret_digest,
            "{when}: another secret"
        );
        let authorization = integration
            .authorization
            .unwrap_or_else(|| panic!("{when}: Factory is not authorized"));
        assert_eq!(authorization.broken, None, "{when}");
        assert_eq!(Some(authorization.user_id), droid, "{when}");
    }

    /// Requires that nobody is left signed in to GitLab.
    #[track_caller]
    pub(crate) fn expect_signed_out(&self, when: &str) {
        let left = self.world(|world| {
            let sessions = world.sessions.iter().filter(|session| session.user_id.is_some());
            sessions
                .map(|session| (session.user_id, session.impersonator_id))
                .collect::<Vec<_>>()
        });
        assert!(left.is_empty(), "{when}: {left:?}");
    }

    /// The requests since a number of them, those of Factory's own left out, as `METHOD path`.
    pub(crate) fn requests_since(&self, count: usize) -> Vec<String> {
        self.sandbox.requests()[count..]
            .iter()
            .filter(|request| !request.by_factory)
            .map(|request| format!("{} {}", request.method, request.path))
            .collect()
    }

    /// How many requests there were.
    pub(crate) fn request_count(&self) -> usize {
        self.sandbox.requests().len()
    }
}

/// The places of requests in a log, each given by its method and a part of its path; they must be there in this order.
#[track_caller]
pub(crate) fn expect_order(log: &[String], wanted: &[&str]) {
    let mut from = 0;
    for one in wanted {
        let (method, part) = one.split_once(' ').expect("METHOD and a part of the path");
        let found = log[from..]
            .iter()
            .position(|request| request.starts_with(method) && request.contains(part));
        match found {
            Some(at) => from += at + 1,
            None => panic!("{one} does not follow in {log:#?}"),
        }
    }
}
