//! GitLab's pages as plain data: forms with their fields, links that send a form, messages, the CSRF token.
//!
//! Pages are parsed by form and field, because their markup changes from release to release while the names of the
//! fields hardly do. A page that lacks what was looked for is an error that names it; nothing is posted blindly.
//! Parsed pages are owned data: `scraper`'s documents cannot cross an `await`.

use scraper::{ElementRef, Html, Selector};
use secrecy::zeroize::Zeroizing;

use crate::http::{Error, ErrorKind, HTML_LIMIT, Response, Result, Side, parse_html};
use crate::secrets::{RemoteText, Secret, learn};

/// The field that proves that a form comes from GitLab's own page.
pub(super) const TOKEN: &str = "authenticity_token";
/// How much text of an element is looked at, in characters: white space makes most of it.
const LOOKED_AT: usize = 128 * 1024;
/// The most messages that are taken from a page.
const MAX_MESSAGES: usize = 20;

/// A page of GitLab's.
#[derive(Debug, Clone, Default)]
pub(crate) struct Page {
    /// `GET /path` that brought it, for messages.
    pub(crate) request: String,
    /// Its title; empty where it has none.
    pub(crate) title: RemoteText,
    /// The token of the `csrf-token` meta tag, for what GitLab's scripts send without a form.
    csrf: Option<String>,
    /// Its forms, in order.
    pub(crate) forms: Vec<Form>,
    /// Its links, and the buttons that its scripts turn into forms, in order.
    pub(crate) links: Vec<Link>,
    /// Messages in flashes and alerts, without repetition.
    pub(crate) alerts: Vec<RemoteText>,
    /// Notices, which say what was done rather than what is wrong.
    pub(crate) notices: Vec<RemoteText>,
    /// What is wrong with the form that was sent, an entry for each fault.
    pub(crate) faults: Vec<RemoteText>,
    /// Text of preformatted blocks: `Doorkeeper`'s error page has its description there.
    pub(crate) preformatted: Vec<RemoteText>,
    /// The main heading, or the first one of another level.
    pub(crate) heading: RemoteText,
    /// Text of the main part.
    pub(crate) main: RemoteText,
    /// Whether a reCAPTCHA stands on it.
    pub(crate) captcha: bool,
    /// Whether GitLab asks for a code that it sent by e-mail.
    pub(crate) email_verification: bool,
    /// The question for a second factor, where the page asks it.
    pub(crate) second_factor: Option<SecondFactor>,
    /// The key of an authenticator that is offered, without its spaces.
    pub(crate) offered_key: Option<Secret>,
    /// Recovery codes, which are shown once.
    pub(crate) recovery_codes: Option<Vec<Secret>>,
    /// Where a component sends that the terms of service are accepted, as written, where there are some to accept.
    pub(crate) accepts_terms_at: Option<String>,
}

/// How a page asks for a second factor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SecondFactor {
    /// What sends a code of an authenticator; none where GitLab takes none of this account.
    pub(crate) form: Option<Form>,
    /// What GitLab takes besides, or instead.
    pub(crate) others: Vec<&'static str>,
}

/// The field of a code of an authenticator.
pub(crate) const OTP: &str = "user[otp_attempt]";

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Form {
    /// Where it goes, as written; empty: to the page itself.
    pub(crate) action: String,
    /// `get`, `post`, or what the hidden `_method` field says: `patch`, `put`, `delete`.
    pub(crate) method: String,
    /// Its named fields, in order.
    pub(crate) fields: Vec<Field>,
}

/// A named field of a form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Field {
    pub(crate) name: String,
    /// Value that would be sent.
    pub(crate) value: String,
    /// What kind of field.
    pub(crate) kind: FieldKind,
}

/// What kind of field, as far as it decides whether it is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FieldKind {
    /// `input type=hidden`.
    Hidden,
    /// A text, a password, a text area, or the chosen option of a list.
    Text,
    /// A checkbox or radio button, ticked or not: unticked, it is not sent.
    Tick(bool),
}

/// A link, or a button that a script turns into a form (`data-method`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Link {
    /// Where it goes, as written.
    pub(crate) href: String,
    /// The method that GitLab's script would use; a plain link has none.
    pub(crate) method: Option<String>,
}

impl Page {
    /// Parses a page. `request` is the request that brought it, for messages.
    pub(crate) fn parse(request: &str, html: &str) -> Result<Self> {
        if html.len() > HTML_LIMIT {
            let message = format!("{request} answered a page of more than {} MiB", HTML_LIMIT >> 20);
            return Err(Error::new(Side::Gitlab, ErrorKind::TooLarge, request, message));
        }
        let document = read(request, html)?;
        let csrf = attribute(&document, "meta[name='csrf-token']", "content");
        let forms = select(&document, "form", |form| Some(Form::read(form)));
        // Good for as long as the session is, and not to be quoted from anything, this page first.
        let tokens = forms.iter().flat_map(|form| &form.fields);
        let tokens = tokens.filter(|field| field.name == TOKEN).map(|field| &field.value);
        tokens.chain(&csrf).for_each(|token| learn(token));
        let (offered_key, recovery_codes) = (offered_key(&document), recovery_codes(&document));
        let mut page = Self {
            offered_key,
            recovery_codes,
            request: request.to_owned(),
            title: first_text(&document, "title"),
            csrf,
            forms,
            heading: first_text(&document, "h1, h2, h3"),
            main: first_text(&document, "main"),
            preformatted: texts(&document, "pre"),
            notices: texts(&document, ".flash-notice, [data-testid='alert-info']"),
            captcha: any(&document, ".g-recaptcha, [data-sitekey], script[src*='recaptcha']")
                || shows_captcha(&document),
            email_verification: any(&document, ".js-email-verification"),
            faults: texts(
                &document,
                "#error_explanation li, .gl-alert-danger li, .alert-danger li",
            ),
            ..Self::default()
        };
        page.alerts = alerts(&document);
        page.accepts_terms_at = accepts_terms_at(&document);
        page.links = select(&document, "a[href], button[data-method]", Link::read);
        page.second_factor = page.second_factor(&document)?;
        Ok(page)
    }

    /// Up to 19.3 it is asked for by a form, and later by a component without one (`#js-2fa`), which sends the same
    /// fields to its `data-path` (GitLab: `app/views/devise/shared/_two_factor_auth.html.haml`).
    fn second_factor(&self, document: &Html) -> Result<Option<SecondFactor>> {
        let component = select(document, "#js-2fa[data-path]", |element| {
            let attr = |name: &str| element.attr(name).unwrap_or_default().to_owned();
            let is = |name: &str, value: &str| element.attr(name).is_some_and(|text| text.trim() == value);
            let others = [
                ("data-webauthn-enabled", "a security key"),
                ("data-email-enabled", "a code sent by e-mail"),
            ];
            let others = others.into_iter().filter(|(name, _)| is(name, "true"));
            Some((
                attr("data-path"),
                attr("data-remember-me"),
                !is("data-totp-enabled", "false"),
                others.map(|(_, what)| what).collect(),
            ))
        });
        if let Some((path, remember, takes_codes, others)) = component.into_iter().next() {
            let mut form = self.scripted_form(path.trim(), "post")?;
            let remember = if remember.is_empty() { "0" } else { &remember };
            for (name, value) in [("user[remember_me]", remember), ("two_factor_method", "totp")] {
                form.fields.push(Field::hidden(name, value));
            }
            return Ok(Some(SecondFactor {
                form: takes_codes.then_some(form),
                others,
            }));
        }
        Ok(self.form_with(OTP).cloned().map(|form| SecondFactor {
            form: Some(form),
            others: Vec::new(),
        }))
    }

    /// The page that an answer is. Its words may be quoted; its forms are as they are.
    pub(crate) fn of(response: &Response) -> Result<Self> {
        Self::parse(response.label(), &response.text())
    }

    /// An error about this page: what was looked for and is not there.
    pub(crate) fn lacks(&self, what: &str) -> Error {
        let title = if self.title.is_empty() {
            "without a title".to_owned()
        } else {
            format!("\"{}\"", self.title)
        };
        let said = self.said().map(|said| format!("; it says: {said}")).unwrap_or_default();
        let message = format!("GitLab's page {title} ({}) has no {what}{said}", self.request);
        Error::new(Side::Gitlab, ErrorKind::Unexpected, &self.request, message)
            .with_hint("This GitLab's pages differ from those of 16.11 to 19.5; this one was not answered.")
    }

    /// The form that sends `field`, by any method and to any address.
    pub(crate) fn form_with(&self, field: &str) -> Option<&Form> {
        self.forms.iter().find(|form| form.has(field))
    }

    /// Whether it leads to other ways of signing in than by a password that GitLab keeps.
    pub(crate) fn leads_to_providers(&self) -> bool {
        const WAY: &str = "/users/auth/";
        self.forms.iter().any(|form| form.action.contains(WAY)) || self.links.iter().any(|link| link.href.contains(WAY))
    }

    /// The token that GitLab's scripts take for requests without a form of their own.
    pub(crate) fn csrf(&self) -> Result<&str> {
        self.csrf
            .as_deref()
            .ok_or_else(|| self.lacks("CSRF token (meta name=\"csrf-token\")"))
    }

    /// A form as GitLab's scripts make it of a link with `data-method`: the method and the page's token, no more.
    pub(crate) fn scripted_form(&self, action: &str, method: &str) -> Result<Form> {
        let mut fields = Vec::new();
        if method != "post" {
            fields.push(Field::hidden("_method", method));
        }
        fields.push(Field::hidden(TOKEN, self.csrf()?));
        Ok(Form {
            action: action.to_owned(),
            method: method.to_owned(),
            fields,
        })
    }

    /// The form or scripted link that sends to a path with this end; by whatever method the page says.
    pub(crate) fn sender_to(&self, path_end: &str) -> Result<Option<Form>> {
        if let Some(form) = self.forms.iter().find(|form| form.goes_to(path_end)) {
            return Ok(Some(form.clone()));
        }
        let link = self.links.iter().find(|link| path_of(&link.href).ends_with(path_end));
        match link.and_then(|link| link.method.as_deref().map(|method| (link, method))) {
            Some((link, method)) => self.scripted_form(&link.href, method).map(Some),
            None => Ok(None),
        }
    }

    /// The page's notices as the end of a sentence.
    pub(crate) fn noticed(&self) -> String {
        let noticed = RemoteText::joined(&self.notices, "; ").said();
        noticed.map(|noticed| format!(": {noticed}")).unwrap_or_default()
    }

    /// The page's messages in one line, where it has any.
    pub(crate) fn said(&self) -> Option<RemoteText> {
        let messages = if self.faults.is_empty() {
            &self.alerts
        } else {
            &self.faults
        };
        RemoteText::joined(messages, "; ").said()
    }

    /// The same as the end of a sentence about a refusal.
    pub(crate) fn reason(&self) -> RemoteText {
        self.said().unwrap_or_else(|| RemoteText::new("no reason is given"))
    }
}

impl Form {
    fn read(element: ElementRef<'_>) -> Self {
        let attr = |name: &str| element.attr(name).unwrap_or_default().trim().to_owned();
        let mut fields = Vec::new();
        if let Ok(selector) = Selector::parse("input[name], textarea[name], select[name]") {
            fields.extend(element.select(&selector).filter_map(Field::read));
        }
        let mut form = Self {
            action: attr("action"),
            method: attr("method").to_ascii_lowercase(),
            fields,
        };
        if let Some(method) = form.value("_method") {
            form.method = method.to_ascii_lowercase();
        } else if form.method.is_empty() {
            "get".clone_into(&mut form.method);
        }
        form
    }

    /// Whether it has a field of this name.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.fields.iter().any(|field| field.name == name)
    }

    /// The value that would be sent under this name: of several, the last one wins, as in Rails.
    pub(crate) fn value(&self, name: &str) -> Option<&str> {
        let sent = |field: &&Field| field.name == name && field.kind != FieldKind::Tick(false);
        self.fields.iter().rev().find(sent).map(|field| field.value.as_str())
    }

    /// Whether it goes to a path with this end, which is to start with a slash.
    pub(crate) fn goes_to(&self, path_end: &str) -> bool {
        path_of(&self.action).ends_with(path_end)
    }

    /// What is sent with these values filled in: its hidden fields, and these, which may be hidden themselves where a
    /// script mounts what a person sees.
    pub(crate) fn with(&self, values: &[(&str, &str)]) -> Vec<(String, String)> {
        let mut fields = self.hidden();
        fields.retain(|(name, _)| values.iter().all(|(filled, _)| filled != name));
        fields.extend(
            values
                .iter()
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned())),
        );
        fields
    }

    /// What its hidden fields send: the token, `_method` and whatever else the page carries along, but not the
    /// hidden twin of a checkbox.
    pub(crate) fn hidden(&self) -> Vec<(String, String)> {
        let twin = |name: &str| {
            let tick = |field: &Field| field.name == name && matches!(field.kind, FieldKind::Tick(_));
            self.fields.iter().any(tick)
        };
        self.fields
            .iter()
            .filter(|field| field.kind == FieldKind::Hidden && !twin(&field.name))
            .map(|field| (field.name.clone(), field.value.clone()))
            .collect()
    }
}

impl Field {
    fn hidden(name: &str, value: &str) -> Self {
        Self {
            name: name.to_owned(),
            value: value.to_owned(),
            kind: FieldKind::Hidden,
        }
    }

    fn read(element: ElementRef<'_>) -> Option<Self> {
        let name = element.attr("name").filter(|name| !name.is_empty())?.to_owned();
        if element.attr("disabled").is_some() {
            return None;
        }
        let value = element.attr("value").map(ToOwned::to_owned);
        let (value, kind) = match element.value().name() {
            "textarea" => (element.text().collect::<String>(), FieldKind::Text),
            "select" => (chosen(element)?, FieldKind::Text),
            _ => match element.attr("type").unwrap_or("text").to_ascii_lowercase().as_str() {
                "hidden" => (value.unwrap_or_default(), FieldKind::Hidden),
                "checkbox" | "radio" => {
                    let value = value.unwrap_or_else(|| "on".to_owned());
                    (value, FieldKind::Tick(element.attr("checked").is_some()))
                }
                "submit" | "button" | "image" | "reset" | "file" => return None,
                _ => (value.unwrap_or_default(), FieldKind::Text),
            },
        };
        Some(Self { name, value, kind })
    }
}

impl Link {
    fn read(element: ElementRef<'_>) -> Option<Self> {
        let href = element.attr("href").or_else(|| element.attr("data-url"))?;
        if element.attr("disabled").is_some() {
            return None;
        }
        Some(Self {
            href: href.trim().to_owned(),
            method: element.attr("data-method").map(str::to_ascii_lowercase),
        })
    }
}

/// The path of an address, without query and fragment; an absolute address keeps its origin, which no caller minds.
fn path_of(address: &str) -> &str {
    let end = address.find(['?', '#']).unwrap_or(address.len());
    &address[..end]
}

/// The chosen option of a list, else its first.
fn chosen(select: ElementRef<'_>) -> Option<String> {
    let options = Selector::parse("option").ok()?;
    let mut first = None;
    for option in select.select(&options) {
        let value = option
            .attr("value")
            .map_or_else(|| option.text().collect(), ToOwned::to_owned);
        if option.attr("selected").is_some() {
            return Some(value);
        }
        first.get_or_insert(value);
    }
    first
}

fn alerts(document: &Html) -> Vec<RemoteText> {
    const ALERTS: &str = ".flash-alert, .flash-warning, .flash-container .gl-alert-body, .flash, \
        .gl-alert-danger .gl-alert-body, .gl-alert-danger .gl-alert-title, .gl-alert-danger.error, [data-testid='alert-danger'], .devise-errors li";
    let mut alerts: Vec<RemoteText> = Vec::new();
    // Some are mounted by a script, and have their text in an attribute only.
    let mounted = select(document, ".js-vue-alert[data-title]", |element| {
        RemoteText::new(element.attr("data-title")?).said()
    });
    for text in texts(document, ALERTS).into_iter().chain(mounted).take(MAX_MESSAGES) {
        if !alerts.iter().any(|known| known.as_str().contains(text.as_str())) {
            alerts.push(text);
        }
    }
    alerts
}

/// Whether the sign-in page is to mount a reCAPTCHA: since 19 only the data of its component says so.
fn shows_captcha(document: &Html) -> bool {
    #[derive(serde::Deserialize)]
    struct AppData {
        #[serde(default, alias = "showCaptcha")]
        show_captcha: bool,
    }
    attribute(document, "#js-sign-in-form[data-app-data]", "data-app-data")
        .and_then(|data| serde_json::from_str::<AppData>(&data).ok())
        .is_some_and(|data| data.show_captcha)
}

/// The key stands on the page in groups of four (GitLab: `two_factor_auths/show.html.haml`). Neither form is to be quoted.
fn offered_key(document: &Html) -> Option<Secret> {
    select(document, "code.two-factor-secret", |element| {
        let shown: String = element.text().flat_map(str::chars).take(LOOKED_AT).collect();
        let shown = Zeroizing::new(shown);
        learn(shown.trim());
        let key: String = shown.split_whitespace().collect();
        (!key.is_empty()).then(|| Secret::new(key))
    })
    .into_iter()
    .next()
}

/// A script draws them (GitLab: `.js-2fa-recovery-codes`).
fn recovery_codes(document: &Html) -> Option<Vec<Secret>> {
    let codes = Zeroizing::new(attribute(document, ".js-2fa-recovery-codes[data-codes]", "data-codes")?);
    let codes: Vec<String> = serde_json::from_str(&codes).ok()?;
    Some(codes.into_iter().map(Secret::new).collect())
}

/// Since 19 the page of the terms has no form, but a component with the addresses.
fn accepts_terms_at(document: &Html) -> Option<String> {
    #[derive(serde::Deserialize)]
    struct TermsData {
        permissions: Permissions,
        paths: Paths,
    }
    #[derive(serde::Deserialize)]
    struct Permissions {
        #[serde(alias = "canAccept")]
        can_accept: bool,
    }
    #[derive(serde::Deserialize)]
    struct Paths {
        accept: String,
    }
    let data = attribute(document, "#js-terms-of-service[data-terms-data]", "data-terms-data")?;
    let data: TermsData = serde_json::from_str(&data).ok()?;
    data.permissions.can_accept.then_some(data.paths.accept)
}

/// A page as a tree, or why it is none.
pub(super) fn read(request: &str, html: &str) -> Result<Html> {
    parse_html(html).map_err(|_| {
        let message = format!("{request} answered a page of a depth or intricacy that no page of GitLab's has");
        Error::new(Side::Gitlab, ErrorKind::TooLarge, request, message)
            .with_hint("check gitlab.url, and what stands between here and there")
    })
}

pub(super) fn select<T>(document: &Html, selector: &str, read: impl Fn(ElementRef<'_>) -> Option<T>) -> Vec<T> {
    Selector::parse(selector)
        .map(|selector| document.select(&selector).filter_map(read).collect())
        .unwrap_or_default()
}

pub(super) fn texts(document: &Html, selector: &str) -> Vec<RemoteText> {
    let Ok(selector) = Selector::parse(selector) else {
        return Vec::new();
    };
    let texts = document.select(&selector).filter_map(|element| text_of(element).said());
    texts.take(MAX_MESSAGES).collect()
}

pub(super) fn first_text(document: &Html, selector: &str) -> RemoteText {
    let selector = Selector::parse(selector).ok();
    selector
        .and_then(|selector| document.select(&selector).next().map(text_of))
        .unwrap_or_default()
}

pub(super) fn attribute(document: &Html, selector: &str, name: &str) -> Option<String> {
    select(document, selector, |element| element.attr(name).map(ToOwned::to_owned))
        .into_iter()
        .next()
}

pub(super) fn any(document: &Html, selector: &str) -> bool {
    !select(document, selector, |_| Some(())).is_empty()
}

pub(super) fn text_of(element: ElementRef<'_>) -> RemoteText {
    RemoteText::new(&element.text().flat_map(str::chars).take(LOOKED_AT).collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: &str = r#"<html><head><title>Sign in
      · GitLab</title><meta name="csrf-token" content="tok&amp;en"></head><body>
      <div class="flash-container"><div class="flash-alert"><span>Invalid login or
        password.</span></div></div>
      <form action="/users/auth/ldapmain/callback" method="post"><input name="username"></form>
      <form action="/gitlab/users/sign_in?x=1" accept-charset="UTF-8" method="post">
        <input type="hidden" name="authenticity_token" value="a&quot;b">
        <input type="text" name="user[login]">
        <input type="password" class="js-password" data-name="user[password]">
        <input name="user[remember_me]" type="hidden" value="0"><input type="checkbox" value="1" name="user[remember_me]">
        <input type="text" name="off" value="x" disabled><input type="submit" name="commit" value="Go">
        <select name="lang"><option value="de">D</option><option value="en" selected>E</option></select>
      </form>
      <a rel="nofollow" data-method="post" href="/gitlab/users/sign_out">Sign out</a>
      <a href="/gitlab/admin/users/x/impersonate">no form</a>
    </body></html>"#;

    #[test]
    fn forms_are_found_by_field_and_read_as_a_browser_would_send_them() {
        let page = Page::parse("GET /users/sign_in", PAGE).unwrap();
        assert_eq!(page.title.as_str(), "Sign in · GitLab");
        assert_eq!(page.alerts[0].as_str(), "Invalid login or password.");
        let form = page.form_with("user[login]").unwrap();
        assert_eq!(form.method, "post");
        assert!(form.goes_to("/users/sign_in"));
        assert_eq!(form.value("user[remember_me]"), Some("0"));
        assert_eq!(form.value("lang"), Some("en"));
        assert!(!form.has("off") && !form.has("commit"));
        assert_eq!(form.hidden(), [("authenticity_token".to_owned(), "a\"b".to_owned())]);
    }

    #[test]
    fn a_link_with_a_method_becomes_a_form_and_a_plain_one_does_not() {
        let page = Page::parse("GET /", PAGE).unwrap();
        let form = page.sender_to("/users/sign_out").unwrap().unwrap();
        assert_eq!(form.action, "/gitlab/users/sign_out");
        assert_eq!(form.hidden(), [("authenticity_token".to_owned(), "tok&en".to_owned())]);
        assert_eq!(page.sender_to("/impersonate").unwrap(), None);
    }

    /// The sign-in page since 19: a component around one form, whose fields are hidden.
    #[test]
    fn a_captcha_and_alerts_that_a_script_mounts_are_seen() {
        let page = |captcha: bool| {
            let html = format!(
                r#"<div class="js-vue-alert" data-title="You have to confirm your email address before continuing."></div>
                <div id="js-sign-in-form" data-app-data="{{&quot;show_captcha&quot;:{captcha},&quot;x&quot;:[1]}}"></div>
                <form action="/users/sign_in" method="post"><input type="hidden" name="authenticity_token" value="T">
                <input type="hidden" name="user[login]"><input type="hidden" name="user[password]">
                <input type="hidden" name="user[remember_me]" value="0"></form>"#
            );
            Page::parse("GET /users/sign_in", &html).unwrap()
        };
        assert!(page(true).captcha && !page(false).captcha);
        let page = page(false);
        assert_eq!(
            page.said().unwrap().as_str(),
            "You have to confirm your email address before continuing."
        );
        let form = page.form_with("user[login]").unwrap();
        let sent = form.with(&[("user[login]", "root"), ("user[password]", "fake")]);
        let expected = [
            ("authenticity_token", "T"),
            ("user[remember_me]", "0"),
            ("user[login]", "root"),
            ("user[password]", "fake"),
        ];
        assert_eq!(sent, expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
    }

    #[test]
    fn a_second_factor_is_asked_for_by_a_form_or_by_a_component() {
        let page = |html: &str| Page::parse("POST /users/sign_in", html).unwrap();
        let form = page(
            r#"<form action="/users/sign_in" method="post"><input type="hidden" name="authenticity_token" value="T">
            <input type="hidden" name="user[remember_me]" value="0"><input name="user[otp_attempt]"></form>"#,
        );
        let form = form.second_factor.unwrap().form.unwrap();
        assert_eq!(form.hidden().len(), 2);

        let component = |attributes: &str| {
            page(&format!(
                r#"<title>GitLab</title><meta name="csrf-token" content="T">
                <div id="js-2fa" data-path="/git/users/sign_in" data-remember-me="1" {attributes}></div>"#
            ))
        };
        let asked = component(r#"data-totp-enabled="true" data-webauthn-enabled="false""#);
        let form = asked.second_factor.unwrap().form.unwrap();
        assert_eq!(
            (form.action.as_str(), form.method.as_str()),
            ("/git/users/sign_in", "post")
        );
        let sent = [
            ("authenticity_token", "T"),
            ("user[remember_me]", "1"),
            ("two_factor_method", "totp"),
        ];
        assert_eq!(
            form.hidden(),
            sent.map(|(name, value)| (name.to_owned(), value.to_owned()))
        );

        let keys = component(r#"data-totp-enabled="false" data-webauthn-enabled="true" data-email-enabled="true""#);
        let keys = keys.second_factor.unwrap();
        assert_eq!(keys.form, None);
        assert_eq!(keys.others, ["a security key", "a code sent by e-mail"]);
        assert_eq!(page("<p>hello").second_factor, None);
    }

    #[test]
    fn a_page_that_is_not_understood_says_what_was_looked_for() {
        let page = Page::parse("GET /x", "<title>Bad\x1b[31m gateway</title><p>no").unwrap();
        let error = page.csrf().unwrap_err();
        assert!(error.message.contains("csrf-token"), "{error}");
        assert!(
            error.message.contains("gateway") && error.message.contains("GET /x"),
            "{error}"
        );
        assert!(!error.message.contains('\x1b'));
        assert!(Page::parse("GET /x", &" ".repeat(HTML_LIMIT + 1)).is_err());
    }
}
