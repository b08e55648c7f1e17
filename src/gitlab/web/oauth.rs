//! The pure half of a headless authorization: what an authorize URL must be before anything is sent, which of GitLab's
//! pages answers it, and what the address that GitLab sends the browser to must be.
//!
//! GitLab answers a trusted or already approved application with status 200 and a page that holds the address, not
//! with a redirect; errors are pages with status 200, too. So the page decides, not the status
//! (GitLab: `app/controllers/oauth/authorizations_controller.rb`, `app/views/doorkeeper/authorizations/`).

use std::collections::BTreeSet;

use url::Url;

use super::forms::{Form, Page};
use crate::gitlab::Approval;
use crate::http::{Error, ErrorKind, Result, Side};
use crate::secrets::{RemoteText, learn};
use crate::urls;

/// The path below GitLab's relative URL root.
const AUTHORIZE: &str = "/oauth/authorize";
const REQUEST: &str = "GET /oauth/authorize";
/// What an authorize URL may say (RFC 6749, 4.1.1; RFC 7636, 4.3; `OpenID` Connect's `nonce`). All else is left out.
const PARAMETERS: [&str; 8] = [
    "client_id",
    "redirect_uri",
    "response_type",
    "state",
    "scope",
    "code_challenge",
    "code_challenge_method",
    "nonce",
];
const DEFAULT_SCOPE: &str = "api";

/// A checked authorize URL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct AuthorizeRequest {
    /// Where to open it: below `gitlab.url`. Its query is made anew of what was checked, so that GitLab cannot read
    /// another value out of it than was read here.
    pub(crate) open_at: Url,
    client_id: String,
    /// What it is allowed.
    scopes: BTreeSet<String>,
    /// Where the browser is to go afterwards.
    redirect_uri: String,
    /// What has to come back unchanged, where it was given.
    state: Option<String>,
}

/// What GitLab answers an authorize URL with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum AuthorizePage {
    /// No consent is needed: the address to go to.
    Redirect(String),
    /// Consent is asked: the form that gives it.
    Consent(Form),
    SignIn,
}

fn refused(message: impl Into<String>) -> Error {
    Error::new(Side::Gitlab, ErrorKind::Refused, REQUEST, message)
}

/// Checks an authorize URL in the same way for a person, who is to see all of it, and gives it as a browser opens it that
/// reaches GitLab at `in_browser`.
pub fn authorize_url_for_a_person(
    text: &str,
    url: &Url,
    external_url: &Url,
    in_browser: &Url,
    approval: &Approval<'_>,
) -> Result<Url> {
    let request = AuthorizeRequest::checked(text, url, external_url, approval)?;
    let mut shown = in_browser.clone();
    shown.set_path(&format!("{}{AUTHORIZE}", urls::root(in_browser)));
    shown.set_query(request.open_at.query());
    Ok(shown)
}

impl AuthorizeRequest {
    /// Checks an authorize URL, which came from elsewhere, against what is configured and what is to be approved.
    pub(crate) fn check(text: &str, url: &Url, external_url: &Url, approval: &Approval<'_>) -> Result<Self> {
        if let Ok(given) = Url::parse(text) {
            // Who has it can end the attempt in the droid's place.
            let states = given.query_pairs().filter(|(key, _)| key == "state");
            states.for_each(|(_, state)| learn(&state));
        }
        Self::checked(text, url, external_url, approval)
    }

    fn checked(text: &str, url: &Url, external_url: &Url, approval: &Approval<'_>) -> Result<Self> {
        let given = Url::parse(text).map_err(|error| refused(format!("the authorize URL is no URL: {error}")))?;
        let shown = shown(&given);
        let ours = [url, external_url]
            .into_iter()
            .any(|base| given.origin() == base.origin() && given.path() == format!("{}{AUTHORIZE}", urls::root(base)));
        if !ours || !given.username().is_empty() || given.password().is_some() {
            let root = urls::bare(external_url);
            return Err(refused(format!(
                "the authorize URL leads to {shown}, not to {root}{AUTHORIZE}; nothing was sent there"
            ))
            .with_hint("Check gitlab.external_url, and the domain that is saved in Factory."));
        }
        let only = |name: &str| -> Result<Option<String>> {
            let mut values = given
                .query_pairs()
                .filter(|(key, _)| key == name)
                .map(|(_, value)| value.into_owned());
            let value = values.next();
            if values.next().is_some() {
                return Err(refused(format!(
                    "the authorize URL has several values of {name}; nothing was sent"
                )));
            }
            Ok(value)
        };
        let needed = |name: &str| -> Result<String> {
            let value = only(name)?.filter(|value| !value.is_empty());
            value.ok_or_else(|| refused(format!("the authorize URL has no {name}; nothing was sent")))
        };
        if needed("response_type")? != "code" {
            return Err(refused(
                "the authorize URL asks for another response_type than code; nothing was sent",
            ));
        }
        let client_id = needed("client_id")?;
        if client_id != approval.application.0 {
            return Err(refused(format!(
                "the authorize URL asks for access for the application {}, not for the one that Setpoint manages ({}); nothing \
                 was sent",
                RemoteText::new(&client_id),
                RemoteText::new(&approval.application.0)
            ))
            .with_hint("Factory uses another application than was saved: see who changed its GitLab integration."));
        }
        // A scope that is not given is GitLab's default (GitLab: `lib/gitlab/auth.rb`, `DEFAULT_SCOPES`).
        let scope = only("scope")?;
        let asked = scope.as_deref().unwrap_or_default().split_ascii_whitespace();
        let mut scopes: BTreeSet<String> = asked.map(str::to_owned).collect();
        if scopes.is_empty() {
            scopes.insert(DEFAULT_SCOPE.to_owned());
        }
        let beyond: Vec<&str> = scopes.difference(approval.scopes).map(String::as_str).collect();
        if !beyond.is_empty() {
            return Err(refused(format!(
                "the authorize URL asks for more than the declared scopes: {}; nothing was sent",
                RemoteText::new(&beyond.join(" "))
            ))
            .with_hint("If Factory needs them, add them to application.scopes."));
        }
        let redirect_uri = needed("redirect_uri")?;
        if !approval.redirect_uris.contains(&redirect_uri) {
            return Err(refused(format!(
                "the authorize URL would send the browser to {}, which is no redirect URI of the application; nothing was sent",
                RemoteText::new(&redirect_uri)
            ))
            .with_hint("Check application.redirect_uri: organizations of different age have different ones."));
        }
        let mut open_at = url.clone();
        open_at.set_path(&format!("{}{AUTHORIZE}", urls::root(url)));
        open_at.set_query(None);
        open_at.set_fragment(None);
        for name in PARAMETERS {
            if let Some(value) = only(name)? {
                open_at.query_pairs_mut().append_pair(name, &value);
            }
        }
        Ok(Self {
            open_at,
            client_id,
            scopes,
            redirect_uri,
            state: only("state")?,
        })
    }

    /// Tells which page answered, and takes the address or the form out of it.
    pub(crate) fn classify(&self, page: &Page) -> Result<AuthorizePage> {
        let to_authorize = |form: &&Form| form.goes_to(AUTHORIZE) && form.has("client_id");
        if page.forms.iter().any(|form| to_authorize(&form)) {
            // Deny stands before Authorize, or behind it since 19, and differs by its hidden method only.
            let consent = page
                .forms
                .iter()
                .filter(to_authorize)
                .find(|form| form.method == "post");
            let form = consent.ok_or_else(|| page.lacks("form that gives consent, only one that denies it"))?;
            return self
                .check_consent(page, form)
                .map(|()| AuthorizePage::Consent(form.clone()));
        }
        if page.form_with("user[login]").is_some() {
            return Ok(AuthorizePage::SignIn);
        }
        if let Some(description) = page.preformatted.first() {
            return Err(Self::error_page(page, description));
        }
        let answers = page.links.iter().filter(|link| carries_answer(&link.href));
        if let Some(link) = answers.clone().find(|link| self.is_redirect_uri(&link.href)) {
            return Ok(AuthorizePage::Redirect(link.href.clone()));
        }
        if let Some(target) = answers.clone().find_map(|link| Url::parse(&link.href).ok()) {
            return Err(self.wrong_target(&target));
        }
        if page.heading.as_str() == "Forbidden" || page.main.as_str().contains("disable_admin_oauth_scopes") {
            let message = format!("GitLab forbids the authorization: {}", page.main);
            return Err(Error::new(Side::Gitlab, ErrorKind::Forbidden, &page.request, message).with_hint(
                "The droid is an administrator and the setting disable_admin_oauth_scopes is on: take its administrator \
                 rights away, or make the application trusted.",
            ));
        }
        Err(page.lacks("consent form, redirect or error description that an authorization has"))
    }

    fn check_consent(&self, page: &Page, form: &Form) -> Result<()> {
        let same = form.value("client_id") == Some(&self.client_id)
            && form.value("redirect_uri") == Some(&self.redirect_uri)
            && form.value("state").unwrap_or_default() == self.state.as_deref().unwrap_or_default()
            && form
                .value("scope")
                .unwrap_or_default()
                .split_ascii_whitespace()
                .all(|scope| self.scopes.contains(scope));
        if same {
            Ok(())
        } else {
            Err(page.lacks("consent form for the application that was asked for"))
        }
    }

    fn error_page(page: &Page, description: &RemoteText) -> Error {
        let lower = description.as_str().to_lowercase();
        let hint = if lower.contains("redirect ur") {
            "The application in GitLab does not have the redirect URI that Factory uses."
        } else if lower.contains("scope") {
            "Factory asks for more scopes than the application in GitLab has."
        } else if lower.contains("client") {
            "Factory uses an application that this GitLab does not have: save the connection again."
        } else if lower.contains("confirm") || lower.contains("verify") {
            "The droid's e-mail address is not confirmed: an administrator can confirm it on the user's admin page."
        } else {
            "Compare the application in GitLab with the values saved in Factory."
        };
        let message = format!("GitLab refuses the authorization: {description}");
        Error::new(Side::Gitlab, ErrorKind::Forbidden, &page.request, message).with_hint(hint)
    }

    fn wrong_target(&self, target: &Url) -> Error {
        refused(format!(
            "GitLab would send the browser to {}, not to {}; the code was not used",
            shown(target),
            RemoteText::new(&self.redirect_uri)
        ))
    }

    /// Whether an address is the redirect URI, its query aside.
    pub(crate) fn is_redirect_uri(&self, address: &str) -> bool {
        let (Ok(given), Ok(ours)) = (Url::parse(address), Url::parse(&self.redirect_uri)) else {
            return false;
        };
        let place = |url: &Url| (url.origin(), url.scheme().to_owned(), url.path().to_owned());
        let clean = given.username().is_empty() && given.password().is_none();
        let keeps_query = ours
            .query_pairs()
            .all(|pair| given.query_pairs().any(|other| other == pair));
        clean && place(&given) == place(&ours) && keeps_query
    }

    /// Checks the address that GitLab sends the browser to: the redirect URI, with a code and the same state.
    pub(crate) fn check_callback(&self, address: &str) -> Result<Url> {
        let target = Url::parse(address).map_err(|error| {
            refused(format!(
                "GitLab would send the browser to an address that is no URL: {error}"
            ))
        })?;
        let codes = target.query_pairs().filter(|(key, _)| key == "code");
        codes.for_each(|(_, code)| learn(&code));
        if !self.is_redirect_uri(address) {
            return Err(self.wrong_target(&target));
        }
        let values = |name: &str| -> Vec<String> {
            let pairs = target.query_pairs().filter(|(key, _)| key == name);
            pairs.map(|(_, value)| value.into_owned()).collect()
        };
        if let Some(error) = values("error").first() {
            let description = values("error_description")
                .first()
                .map(|text| format!(": {text}"))
                .unwrap_or_default();
            let message = format!(
                "GitLab refuses the authorization: {}",
                RemoteText::new(&format!("{error}{description}"))
            );
            return Err(Error::new(Side::Gitlab, ErrorKind::Forbidden, REQUEST, message));
        }
        if values("state").as_slice() != self.state.as_slice() {
            return Err(refused(
                "GitLab answered the authorization with another state than it was given",
            ));
        }
        match values("code").as_slice() {
            [code] if !code.is_empty() => Ok(target),
            _ => Err(refused("GitLab answered the authorization without a code")),
        }
    }
}

fn carries_answer(address: &str) -> bool {
    Url::parse(address).is_ok_and(|url| url.query_pairs().any(|(key, _)| key == "code" || key == "error"))
}

/// An address for messages: without query, which may hold a code, and without user information.
fn shown(url: &Url) -> RemoteText {
    let mut url = url.clone();
    url.set_query(None);
    url.set_fragment(None);
    let _ = url.set_username("");
    let _ = url.set_password(None);
    RemoteText::new(url.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::ApplicationUid;

    const REDIRECT: &str = "https://app.example.com/api/integrations/redirect/gitlab-sh";

    fn redirect_uris() -> BTreeSet<String> {
        BTreeSet::from([REDIRECT.to_owned()])
    }

    fn authorize_url(base: &str, extra: &str) -> String {
        let query = "client_id=abc&response_type=code&state=s%2B1&scope=api+read_api";
        let redirect: String = url::form_urlencoded::byte_serialize(REDIRECT.as_bytes()).collect();
        format!("{base}?{query}&redirect_uri={redirect}{extra}")
    }

    fn scopes() -> BTreeSet<String> {
        ["api", "read_api", "read_user"].map(str::to_owned).into()
    }

    fn check(text: &str) -> Result<AuthorizeRequest> {
        let url = Url::parse("https://gitlab.corp.example.com/git/").unwrap();
        let external = Url::parse("https://gitlab.example.com").unwrap();
        let approval = Approval {
            application: &ApplicationUid("abc".to_owned()),
            scopes: &scopes(),
            redirect_uris: &redirect_uris(),
        };
        AuthorizeRequest::check(text, &url, &external, &approval)
    }

    fn request() -> AuthorizeRequest {
        check(&authorize_url("https://gitlab.example.com/oauth/authorize", "")).unwrap()
    }

    fn page(html: &str) -> Page {
        Page::parse(REQUEST, html).unwrap()
    }

    #[test]
    fn an_external_address_is_opened_at_url_with_what_was_checked() {
        let opened = request().open_at;
        assert!(opened.as_str().starts_with(
            "https://gitlab.corp.example.com/git/oauth/authorize?client_id=abc&redirect_uri=https%3A%2F%2Fapp.example.com%2F"
        ));
        assert!(
            opened
                .as_str()
                .ends_with("&response_type=code&state=s%2B1&scope=api+read_api")
        );
        let own = check(&authorize_url(
            "https://gitlab.corp.example.com/git/oauth/authorize",
            "#x",
        ))
        .unwrap();
        assert_eq!(own.open_at, opened);
    }

    #[test]
    fn any_other_address_is_refused() {
        for base in [
            "https://gitlab.example.com.evil.example/oauth/authorize",
            "https://evil.example/oauth/authorize",
            "http://gitlab.example.com/oauth/authorize",
            "https://gitlab.example.com:8443/oauth/authorize",
            "https://gitlab.example.com@evil.example/oauth/authorize",
            "https://root@gitlab.example.com/oauth/authorize",
            "https://gitlab.example.com/oauth/authorize/",
            "https://gitlab.example.com/oauth/../admin/oauth/authorize",
            "https://gitlab.corp.example.com/oauth/authorize",
            "https://gitlab.example.com/git/oauth/authorize",
        ] {
            let error = check(&authorize_url(base, "")).unwrap_err();
            assert_eq!(error.kind, ErrorKind::Refused, "{base}: {error}");
        }
        assert!(check("javascript:alert(1)").is_err());
    }

    #[test]
    fn the_query_has_to_be_ours() {
        let good = "https://gitlab.example.com/oauth/authorize";
        let url = authorize_url(good, "");
        assert!(check(&url.replace("response_type=code", "response_type=token")).is_err());
        assert!(
            check(&url.replace("app.example.com", "app.evil.example"))
                .unwrap_err()
                .message
                .contains("evil")
        );
        assert!(check(&authorize_url(good, "&redirect_uri=https://evil.example/")).is_err());
        assert!(check(&authorize_url(good, "&state=2")).is_err());
        assert!(check(&url.replace("client_id=abc&", "")).is_err());
    }

    #[test]
    fn only_the_application_within_its_scopes_is_approved() {
        let url = authorize_url("https://gitlab.example.com/oauth/authorize", "");
        for (ours, other, said) in [
            ("client_id=abc", "client_id=other", "for the application other"),
            ("client_id=abc", "client_id=abc%20", "for the application"),
            ("client_id=abc", "client_id=ABC", "for the application ABC"),
            (
                "client_id=abc",
                "client_id=other&client_id=abc",
                "several values of client_id",
            ),
            (
                "client_id=abc",
                "client_id=abc;client_id=other",
                "for the application abc;client_id",
            ),
            ("api+read_api", "api+sudo", "declared scopes: sudo"),
            ("api+read_api", "api%0Asudo", "declared scopes: sudo"),
            ("scope=api+read_api", "scope=api&scope=sudo", "several values of scope"),
        ] {
            let error = check(&url.replace(ours, other)).unwrap_err();
            assert_eq!(error.kind, ErrorKind::Refused, "{other}");
            assert!(error.message.contains(said), "{other}: {error}");
        }
        // What other parsers would take for a parameter, or for another value of one, does not reach GitLab.
        for odd in [
            "&x=1;client_id=other",
            "&client_id%5B%5D=other",
            "&scope[]=sudo",
            "&Client_Id=other",
            "&resource=x",
        ] {
            let opened = check(&format!("{url}{odd}")).unwrap().open_at;
            assert_eq!(opened, request().open_at, "{odd}");
        }
        let without = check(&url.replace("&scope=api+read_api", "")).unwrap();
        assert_eq!(without.scopes, BTreeSet::from(["api".to_owned()]));
        let challenged = check(&format!("{url}&code_challenge=c&code_challenge_method=S256"))
            .unwrap()
            .open_at;
        assert!(
            challenged
                .as_str()
                .ends_with("&code_challenge=c&code_challenge_method=S256")
        );
    }

    const FIELDS: &str = r#"<input type="hidden" name="client_id" value="abc">
        <input type="hidden" name="redirect_uri" value="https://app.example.com/api/integrations/redirect/gitlab-sh">
        <input type="hidden" name="state" value="s+1"><input type="hidden" name="nonce"></form>"#;

    fn consent(fields: &str) -> Page {
        page(&format!(
            r#"<title>Authorize · GitLab</title><a href="{REDIRECT}">Factory</a>
            <form action="/git/oauth/authorize" method="post"><input type="hidden" name="_method" value="delete">
            <input type="hidden" name="authenticity_token" value="D">{fields}
            <form action="/git/oauth/authorize" method="post"><input type="hidden" name="authenticity_token" value="A">{fields}"#
        ))
    }

    #[test]
    fn consent_is_the_form_without_the_hidden_delete() {
        let AuthorizePage::Consent(form) = request().classify(&consent(FIELDS)).unwrap() else {
            panic!("no consent");
        };
        assert_eq!(form.value("authenticity_token"), Some("A"));
        assert_eq!(form.value("nonce"), Some(""));
        for (ours, other) in [
            ("\"abc\"", "\"other\""),
            ("s+1", "s+2"),
            ("gitlab-sh\"", "gitlab\""),
            (
                "<input type=\"hidden\" name=\"nonce\">",
                "<input type=\"hidden\" name=\"scope\" value=\"api sudo\">",
            ),
        ] {
            assert!(
                request().classify(&consent(&FIELDS.replace(ours, other))).is_err(),
                "{other}"
            );
        }
    }

    #[test]
    fn the_redirect_page_is_read_from_its_link() {
        let html = |target: &str| {
            format!("<h3 class='page-title'>Redirecting</h3><div><a href=\"{target}\">Click here</a></div>")
        };
        let good = format!("{REDIRECT}?code=c0de&amp;state=s%2B1");
        let AuthorizePage::Redirect(address) = request().classify(&page(&html(&good))).unwrap() else {
            panic!("no redirect");
        };
        let target = request().check_callback(&address).unwrap();
        assert_eq!(target.query(), Some("code=c0de&state=s%2B1"));
        let evil = request()
            .classify(&page(&html("https://evil.example/?code=c0de&amp;state=s")))
            .unwrap_err();
        assert!(
            evil.message.contains("evil.example") && !evil.message.contains("c0de"),
            "{evil}"
        );
    }

    #[test]
    fn errors_come_as_pages_and_are_quoted() {
        let error = request()
            .classify(&page(
                "<h3>An error has occurred</h3><main><pre>The redirect URI included is not valid.</pre></main>",
            ))
            .unwrap_err();
        assert!(
            error.message.contains("The redirect URI included is not valid."),
            "{error}"
        );
        assert!(error.hint.is_some());
        let forbidden =
            "<h1>Forbidden</h1><main><p>Administrators are not permitted to connect applications</p></main>";
        assert_eq!(
            request().classify(&page(forbidden)).unwrap_err().kind,
            ErrorKind::Forbidden
        );
        let sign_in = r#"<form action="/users/sign_in" method="post"><input name="user[login]"></form>"#;
        assert_eq!(request().classify(&page(sign_in)).unwrap(), AuthorizePage::SignIn);
        let other = request().classify(&page("<title>502 Bad Gateway</title>")).unwrap_err();
        assert_eq!(other.kind, ErrorKind::Unexpected);
    }

    #[test]
    fn the_callback_has_to_be_the_redirect_uri_with_code_and_state() {
        let check = |text: &str| request().check_callback(text);
        assert!(check(&format!("{REDIRECT}?code=x&state=s%2B1")).is_ok());
        for bad in [
            format!("{REDIRECT}?code=x&state=other"),
            format!("{REDIRECT}?code=x"),
            format!("{REDIRECT}?state=s%2B1"),
            format!("{REDIRECT}?code=&state=s%2B1"),
            format!("{REDIRECT}?code=x&code=y&state=s%2B1"),
            format!("{REDIRECT}/callback?code=x&state=s%2B1"),
            format!("{}?code=x&state=s%2B1", REDIRECT.replace("https", "http")),
            format!(
                "{}?code=x&state=s%2B1",
                REDIRECT.replace("app.example.com", "app.example.com:444")
            ),
            format!(
                "{}?code=x&state=s%2B1",
                REDIRECT.replace("app.example.com", "me@app.example.com")
            ),
            "/relative?code=x&state=s%2B1".to_owned(),
        ] {
            assert!(check(&bad).is_err(), "{bad}");
        }
        let denied = check(&format!(
            "{REDIRECT}?error=access_denied&error_description=No+way&state=s%2B1"
        ))
        .unwrap_err();
        assert!(denied.message.contains("access_denied: No way"), "{denied}");
    }
}
