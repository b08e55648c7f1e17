//! The operator's hands: what a prompt says to click is clicked, on Factory's settings page and in GitLab.

use crate::common::Fixture;
use crate::sandbox_web::browser::{Browser, FormSeen};

const PAGE: &str = "/settings/integrations";

/// Does by hand what the prompts say.
pub(crate) struct Hands<'a>(pub(crate) &'a Fixture);

impl Hands<'_> {
    fn factory(&self) -> Browser {
        Browser::new(self.0.sandbox.factory_app_url())
    }

    async fn administrator(&self) -> Browser {
        let browser = Browser::new(self.0.sandbox.gitlab_url());
        let keys = self.0.sandbox.credentials();
        browser.sign_in(keys.root_username, keys.root_password).await;
        browser
    }

    /// Ticks "Trusted" of the application in GitLab's admin area.
    pub(crate) async fn trust(&self) {
        let administrator = self.administrator().await;
        let path = format!("/admin/applications/{}", self.0.application().id);
        let form = administrator.get(&format!("{path}/edit")).await.form(&path);
        let field = form.names.iter().find(|name| name.ends_with("[trusted]")).unwrap();
        let field = field.clone();
        assert_eq!(administrator.post(&form.set(&field, "1")).await.status, 302);
        administrator.leave().await;
    }

    /// Fills in the three fields, and saves.
    pub(crate) async fn save(&self, domain: &str, application: &str, secret: &str) {
        let browser = self.factory();
        let form = browser.get(PAGE).await.form("/settings/integrations/gitlab-sh");
        let filled = form
            .set("domain", domain)
            .set("applicationId", application)
            .set("secret", secret);
        assert_eq!(browser.post(&filled).await.status, 303);
    }

    /// "Manage GitLab Self-Hosted Permissions", approved in a window where the droid is signed in.
    pub(crate) async fn approve_as(&self, username: &str) {
        let droid = Browser::new(self.0.sandbox.gitlab_url());
        droid
            .sign_in(username, self.0.sandbox.credentials().droid_password)
            .await;
        self.approve_in(&droid).await;
    }

    /// The same, in a window where an administrator impersonates the droid.
    pub(crate) async fn approve_impersonating(&self, username: &str) {
        let window = self.administrator().await;
        let page = window.get(&format!("/admin/users/{username}")).await;
        let mut form = page.csrf();
        form.action = page.attr("[data-testid=impersonate-user-link]", "href").unwrap();
        assert_eq!(window.post(&form).await.status, 302);
        self.approve_in(&window).await;
        window.leave().await;
    }

    async fn approve_in(&self, window: &Browser) {
        let browser = self.factory();
        let popup = browser.post(&browser.get(PAGE).await.form("/authorizations")).await;
        let link = Self::consent(window, &popup.location).await;
        assert_eq!(window.get(&link).await.status, 200);
    }

    /// Opens the address of an attempt in a window where somebody is signed in, and approves.
    pub(crate) async fn approve_at(&self, url: &str, username: &str, password: &str) {
        let window = Browser::new(self.0.sandbox.gitlab_url());
        let form = window.get("/users/sign_in").await.form("/users/sign_in");
        let form = form.set("user[login]", username).set("user[password]", password);
        // Only a person can, and only where it is asked for does GitLab look at it.
        let form = form.set("g-recaptcha-response", "traffic lights");
        assert_eq!(window.post(&form).await.status, 302);
        let link = Self::consent(&window, url).await;
        assert_eq!(window.get(&link).await.status, 200);
        window.leave().await;
    }

    /// Where GitLab sends a browser whose user approves.
    async fn consent(window: &Browser, url: &str) -> String {
        let asked = window.get(url).await;
        // An application that is not trusted is approved by the form that is not the one to cancel by.
        let is_consent = |form: &FormSeen| {
            form.action.ends_with("/oauth/authorize") && form.names.iter().all(|name| name != "_method")
        };
        match asked.forms().into_iter().find(is_consent) {
            Some(consent) => window.post(&consent).await.location,
            None => asked.attr("a", "href").unwrap(),
        }
    }

    /// Ticks these repositories, and saves the selection.
    pub(crate) async fn enable(&self, paths: &[String]) {
        let browser = self.factory();
        let mut form = browser.get(PAGE).await.form("/repositories");
        for path in paths {
            let id = self
                .0
                .sandbox
                .with_world(|world| world.project_at(path).unwrap().id.to_string());
            form.fields.push(("enabled".to_owned(), id));
        }
        assert_eq!(browser.post(&form).await.status, 303);
    }

    /// What the page says of the connection.
    pub(crate) async fn status(&self) -> String {
        self.factory().get(PAGE).await.text("#status")
    }
}
