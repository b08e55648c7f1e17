//! The assisted procedure in a real browser: what the checklist says to open, fill in and press is opened, filled in and
//! pressed by those words, on the pages of the sandbox's GitLab and Factory. So the words of both agree.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test fails by panicking, in its helpers too"
)]

mod checklist;
mod driver;

use self::checklist::{Step, read, step, words};
use self::driver::Chromium;
use crate::assisted::{confirm_all, saving, secret};
use crate::common::Fixture;
use crate::common::plans::{DROID, change};

/// A person before the browser.
struct Operator<'a> {
    browser: &'a Chromium,
    fixture: &'a Fixture,
}

impl Operator<'_> {
    /// On the sign-in page, where everybody who is not signed in is sent.
    async fn sign_in(&self, login: &str, password: &str) {
        self.browser.heading("Sign in").await;
        self.browser.look("sign-in").await;
        self.browser.fill("Username or primary email", login).await;
        self.browser.fill("Password", password).await;
        self.browser.press("Sign in").await;
    }

    async fn sign_in_as_root(&self) {
        let keys = self.fixture.sandbox.credentials();
        self.sign_in(keys.root_username, keys.root_password).await;
    }

    /// `gitlab.application`: ticks "Trusted".
    async fn trust(&self, step: &Step) {
        let [trusted, save] = step.words();
        self.browser.open(step.says("where")).await;
        self.sign_in_as_root().await;
        self.browser.heading("Edit application").await;
        self.browser.look("application-form").await;
        self.browser.tick(trusted).await;
        self.browser.press(save).await;
        self.browser.says("successfully updated").await;
        self.browser.look("application").await;
        self.browser.press("Sign out").await;
        self.browser.heading("Sign in").await;
    }

    /// `factory.connection`: fills in the three fields.
    async fn save(&self, step: &Step) {
        let [connect, gitlab, self_hosted, domain, application, key, save] = step.words();
        self.browser.open(step.says("where")).await;
        self.browser.look("settings").await;
        self.browser.heading(gitlab).await;
        self.browser.press(connect).await;
        self.browser.press(self_hosted).await;
        self.browser.fill(domain, step.says(domain)).await;
        self.browser.fill(application, step.says(application)).await;
        self.browser.fill(key, &secret(self.fixture)).await;
        self.browser.press(save).await;
        self.browser.says("GitLab Self-Hosted was saved.").await;
        self.browser.look("settings-saved").await;
    }

    /// The repository selection.
    async fn select(&self, step: &Step) {
        let [connect, gitlab, self_hosted, selection] = step.words();
        self.browser.open(step.says("where")).await;
        self.browser.heading(gitlab).await;
        self.browser.press(connect).await;
        self.browser.press(self_hosted).await;
        self.browser.heading(selection).await;
        self.browser.look("settings-connected").await;
        for path in &step.repositories {
            self.browser.tick(path).await;
        }
        self.browser.press("Save selection").await;
        self.browser.says("The repository selection was saved.").await;
    }
}

/// What `apply` leaves to a person.
async fn left_by_apply(fixture: &Fixture) -> Vec<Step> {
    let applied = fixture.run(&["apply", "--auto-approve", "--format", "markdown"]).await;
    read(&applied.expect(3).stdout)
}

#[tokio::test]
#[ignore = "takes seconds of a browser; `.ci/run` runs it"]
async fn the_checklist_is_clicked_through_word_by_word() {
    let Some(browser) = Chromium::start().await else { return };
    let fixture = saving().await;
    let person = Operator {
        browser: &browser,
        fixture: &fixture,
    };
    let steps = left_by_apply(&fixture).await;
    person.trust(step(&steps, "gitlab.application")).await;
    person.save(step(&steps, "factory.connection")).await;

    let authorization = step(&steps, "factory.authorization");
    let [manage, _] = authorization.words();
    let at = authorization.label("be the droid: sign in with its password");
    browser.open(authorization.says(at)).await;
    let password = fixture.sandbox.credentials().droid_password;
    person.sign_in(authorization.says("Username"), password).await;
    browser.says("You are signed in as factory-droid.").await;
    browser.open(authorization.says("where, in the same window")).await;
    // A trusted application is let in without a question, and the page behind the popup follows by itself.
    let settings = browser.popup_of(manage).await;
    browser.says("GitLab is connected as factory-droid.").await;
    browser.look("popup-connected").await;
    browser.close_for(&settings).await;
    browser.says("Connected as factory-droid").await;

    let repositories = step(&steps, "Repository selection");
    assert!(repositories.repositories.len() > 10, "{repositories:?}");
    person.select(repositories).await;
    fixture.expect_connected("by hand");

    confirm_all(&fixture).await;
    fixture.expect_nothing_to_do("after everything was clicked").await;
    // What was clicked is what was declared, says the driver that reads it live.
    fixture.edit_config("driver = \"assisted\"", "driver = \"api\"");
    fixture.expect_nothing_to_do("read live").await;
    fixture.edit_config("driver = \"api\"", "driver = \"assisted\"");

    // The droid takes the access back on its own page, on which the evidence was.
    browser.open(&fixture.sandbox.gitlab_url()).await;
    browser.press("Applications").await;
    browser.says("Factory Integration").await;
    browser.look("authorized-applications").await;
    browser.press("Revoke").await;
    browser.says("You don't have any authorized applications.").await;
    let drift = fixture.run(&["drift", "--format", "json"]).await.expect(2).json();
    let authorization = change(&drift, "factory.authorization");
    assert_eq!(
        (&authorization["origin"], &authorization["reason"]),
        (&"drift".into(), &"not_connected".into())
    );
    browser.quit().await;
}

#[tokio::test]
#[ignore = "takes seconds of a browser; `.ci/run` runs it"]
async fn the_impersonated_droid_is_asked_and_its_answer_counts() {
    let Some(browser) = Chromium::start().await else { return };
    let fixture = saving().await;
    fixture.give_admin_session();
    fixture.edit_config("[application]\n", "[application]\ntrusted = false\n");
    fixture.edit_config("password = { env = \"FACTORY_DROID_PASSWORD\" }\n", "");
    let person = Operator {
        browser: &browser,
        fixture: &fixture,
    };
    let steps = left_by_apply(&fixture).await;
    person.save(step(&steps, "factory.connection")).await;

    let authorization = step(&steps, "factory.authorization");
    let at = authorization.label("be the droid");
    let [impersonate] = words(at);
    browser.open(authorization.says(at)).await;
    person.sign_in_as_root().await;
    browser.heading("Factory Droid").await;
    browser.look("account").await;
    browser.press(impersonate).await;
    browser.says("You are now impersonating factory-droid").await;

    let [manage, authorize] = authorization.words();
    browser.open(authorization.says("where, in the same window")).await;
    let settings = browser.popup_of(manage).await;
    browser.heading("Authorize Factory Integration?").await;
    assert!(browser.text().await.contains(DROID));
    browser.look("consent").await;
    browser.press("Deny").await;
    browser.says("GitLab did not authorize Factory").await;
    browser.look("popup-denied").await;
    browser.close_for(&settings).await;
    browser.says("Configured, not authorized yet").await;
    let refused = fixture.run(&["confirm", "--all"]).await.expect(1);
    assert!(refused.stderr.contains("GitLab does not list"), "{}", refused.stderr);

    let settings = browser.popup_of(manage).await;
    browser.press(authorize).await;
    browser.says("GitLab is connected as factory-droid.").await;
    browser.close_for(&settings).await;
    person.select(step(&steps, "Repository selection")).await;
    confirm_all(&fixture).await;
    fixture.expect_nothing_to_do("after the answer was another").await;

    browser.open(&fixture.sandbox.gitlab_url()).await;
    browser.press("Stop impersonating").await;
    browser.heading("Factory Droid").await;
    browser.press("Sign out").await;
    browser.heading("Sign in").await;
    fixture.expect_signed_out("what Setpoint opened itself, it closed");
    browser.quit().await;
}
