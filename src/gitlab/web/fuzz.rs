//! GitLab's pages as they are read, for fuzzing.

use std::collections::BTreeSet;

use url::Url;

use super::application_form::ApplicationForm;
use super::forms::{FieldKind, Page};
use super::oauth::{AuthorizePage, AuthorizeRequest};
use super::pages::{authorized_applications, impersonation_tooltip};
use crate::fuzz::expect_clean;
use crate::gitlab::Approval;
use crate::model::{ApplicationEdit, ApplicationUid, Fields as _};

const REQUEST: &str = "GET /page";
const REDIRECT: &str = "https://app.example.com/api/integrations/redirect/gitlab-sh";

/// Reads a page in every way in which one is read.
pub(crate) fn fuzz_pages(html: &str) {
    if let Err(error) = authorized_applications(REQUEST, html) {
        expect_clean(&error.message);
    }
    if let Some(tooltip) = impersonation_tooltip(html) {
        expect_clean(tooltip.as_str());
    }
    let page = match Page::parse(REQUEST, html) {
        Ok(page) => page,
        Err(error) => return expect_clean(&error.message),
    };
    expect_clean(&page.lacks("something").message);
    forms(&page);
    application_form(&page);
    authorization(&page);
}

fn forms(page: &Page) {
    for path in ["/users/sign_out", "/impersonate", "/admin/impersonation"] {
        if let Ok(Some(form)) = page.sender_to(path) {
            assert!(!form.method.is_empty(), "{form:?}");
        }
    }
    for form in &page.forms {
        for (name, value) in form.hidden() {
            let of = |kind| {
                form.fields
                    .iter()
                    .any(|field| field.name == name && field.value == value && field.kind == kind)
            };
            assert!(
                of(FieldKind::Hidden) && !of(FieldKind::Tick(true)) && !of(FieldKind::Tick(false)),
                "{form:?}"
            );
            assert!(form.has(&name) && form.value(&name).is_some(), "{form:?}");
        }
    }
}

/// An edit to what the form shows is sent whole, and changes nothing.
fn application_form(page: &Page) {
    let Ok(form) = ApplicationForm::find(page) else {
        return;
    };
    let shown = form.read();
    let edit: ApplicationEdit = shown.attributes().into_iter().collect();
    assert!(edit.is_done(&shown), "{shown:?}");
    assert!(form.submission(&edit).is_ok(), "{shown:?}");
}

/// Nobody is sent elsewhere than to the redirect URI, and consent goes to the application that was asked for.
fn authorization(page: &Page) {
    let Some(request) = request() else {
        panic!("the authorize URL is sound");
    };
    match request.classify(page) {
        Ok(AuthorizePage::Redirect(address)) => {
            if let Ok(target) = request.check_callback(&address) {
                assert!(target.as_str().starts_with(REDIRECT), "{target}");
                assert!(
                    target
                        .query_pairs()
                        .any(|(key, value)| key == "state" && value == "s+1"),
                    "{target}"
                );
                assert!(
                    target
                        .query_pairs()
                        .any(|(key, value)| key == "code" && !value.is_empty()),
                    "{target}"
                );
            }
        }
        Ok(AuthorizePage::Consent(form)) => {
            let fields = ["client_id", "redirect_uri", "state"].map(|name| form.value(name));
            assert_eq!(fields, [Some("abc"), Some(REDIRECT), Some("s+1")]);
            assert_eq!(form.method, "post");
        }
        Ok(AuthorizePage::SignIn) => {}
        Err(error) => expect_clean(&error.message),
    }
}

fn request() -> Option<AuthorizeRequest> {
    let redirect: String = url::form_urlencoded::byte_serialize(REDIRECT.as_bytes()).collect();
    let text = format!(
        "https://gitlab.example.com/oauth/authorize?client_id=abc&response_type=code&state=s%2B1&redirect_uri={redirect}"
    );
    let base = Url::parse("https://gitlab.example.com").ok()?;
    let approval = Approval {
        application: &ApplicationUid("abc".to_owned()),
        scopes: &BTreeSet::from(["api".to_owned()]),
        redirect_uris: &BTreeSet::from([REDIRECT.to_owned()]),
    };
    AuthorizeRequest::check(&text, &base, &base, &approval).ok()
}
