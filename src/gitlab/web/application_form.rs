//! The admin form of an OAuth application: what it shows, and the fields that an edit in place sends.
//!
//! GitLab: `app/views/admin/applications/_form.html.haml`. The prefix of the parameters is `doorkeeper_application` up
//! to 17 and `authn_oauth_application` later, so it is taken from the page. GitLab takes any subset of the fields.

use std::collections::BTreeSet;

use super::forms::{FieldKind, Form, Page};
use crate::http::{Error, ErrorKind, Result, Side};
use crate::model::{ApplicationAttribute, ApplicationEdit, ApplicationFields, Known};

/// The form with its prefix.
#[derive(Debug, Clone)]
pub(crate) struct ApplicationForm {
    pub(crate) form: Form,
    prefix: String,
    request: String,
}

impl ApplicationForm {
    /// Finds the form on an edit page: the one with a redirect URI, of whatever prefix.
    pub(crate) fn find(page: &Page) -> Result<Self> {
        let found = page.forms.iter().find_map(|form| {
            let prefix = form
                .fields
                .iter()
                .find_map(|field| field.name.strip_suffix("[redirect_uri]"))?;
            Some((form.clone(), prefix.to_owned()))
        });
        let (form, prefix) =
            found.ok_or_else(|| page.lacks("form of an application (a field named …[redirect_uri])"))?;
        let this = Self {
            form,
            prefix,
            request: page.request.clone(),
        };
        for field in ["name", "trusted", "confidential"] {
            if !this.form.has(&this.field(field)) {
                return Err(page.lacks(&format!("field {} in the form of an application", this.field(field))));
            }
        }
        if this.offered_scopes().is_empty() {
            return Err(page.lacks(&format!("field {} in the form of an application", this.scopes_field())));
        }
        Ok(this)
    }

    pub(crate) fn read(&self) -> ApplicationFields {
        let value = |field: &str| self.form.value(&self.field(field)).unwrap_or_default();
        let scopes_field = self.scopes_field();
        let ticked = |kind: FieldKind| kind == FieldKind::Tick(true);
        let fields = self.form.fields.iter();
        let scopes = fields.filter(|field| field.name == scopes_field && ticked(field.kind));
        ApplicationFields {
            name: value("name").to_owned(),
            redirect_uris: value("redirect_uri")
                .split_whitespace()
                .map(ToOwned::to_owned)
                .collect(),
            trusted: Known::Known(value("trusted") == "1"),
            confidential: value("confidential") == "1",
            scopes: Known::Known(scopes.map(|field| field.value.clone()).collect()),
        }
    }

    /// The fields that an edit sends: the hidden ones of the page, and those that change. A scope that the form does
    /// not offer is refused here, because GitLab would answer with a page of errors.
    pub(crate) fn submission(&self, edit: &ApplicationEdit) -> Result<Vec<(String, String)>> {
        let mut fields = self.form.hidden();
        let mut send = |name: String, value: String| fields.push((name, value));
        let flag = |flag: bool| if flag { "1" } else { "0" }.to_owned();
        for attribute in edit.iter() {
            match attribute {
                ApplicationAttribute::Name(name) => send(self.field("name"), name.clone()),
                ApplicationAttribute::RedirectUris(uris) => {
                    let lines: Vec<&str> = uris.iter().map(String::as_str).collect();
                    send(self.field("redirect_uri"), lines.join("\n"));
                }
                ApplicationAttribute::Trusted(trusted) => send(self.field("trusted"), flag(*trusted)),
                ApplicationAttribute::Confidential(confidential) => {
                    send(self.field("confidential"), flag(*confidential));
                }
                ApplicationAttribute::Scopes(scopes) => {
                    let offered = self.offered_scopes();
                    let all = scopes.iter().map(String::as_str);
                    let missing: Vec<&str> = all.filter(|scope| !offered.contains(scope)).collect();
                    if !missing.is_empty() {
                        return Err(self.unknown_scopes(&missing));
                    }
                    for scope in scopes {
                        send(self.scopes_field(), scope.clone());
                    }
                }
            }
        }
        Ok(fields)
    }

    fn unknown_scopes(&self, missing: &[&str]) -> Error {
        let list = missing.join(", ");
        let message = format!("GitLab's form for applications does not offer these scopes: {list}");
        Error::new(Side::Gitlab, ErrorKind::Invalid, &self.request, message)
            .with_hint("Take them out of application.scopes, or upgrade GitLab.")
    }

    fn offered_scopes(&self) -> BTreeSet<&str> {
        let name = self.scopes_field();
        let tick = |kind: FieldKind| matches!(kind, FieldKind::Tick(_));
        let fields = self
            .form
            .fields
            .iter()
            .filter(|field| field.name == name && tick(field.kind));
        fields.map(|field| field.value.as_str()).collect()
    }

    fn field(&self, name: &str) -> String {
        format!("{}[{name}]", self.prefix)
    }

    fn scopes_field(&self) -> String {
        format!("{}[scopes][]", self.prefix)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(prefix: &str) -> Page {
        let html = format!(
            r#"<title>Edit application · GitLab</title><form action="/search" method="get"><input name="q"></form>
            <form id="edit_{prefix}_5" action="/admin/applications/5" method="post">
            <input type="hidden" name="_method" value="patch"><input type="hidden" name="authenticity_token" value="T">
            <input type="text" name="{prefix}[name]" value="Factory &amp; Co">
            <textarea name="{prefix}[redirect_uri]">
https://a.example.com/x&#13;
https://b.example.com/y</textarea>
            <input name="{prefix}[trusted]" type="hidden" value="0"><input type="checkbox" value="1" name="{prefix}[trusted]">
            <input name="{prefix}[confidential]" type="hidden" value="0"><input type="checkbox" value="1" checked="checked" name="{prefix}[confidential]">
            <input type="checkbox" name="{prefix}[scopes][]" value="api" checked><input type="checkbox" name="{prefix}[scopes][]" value="read_user">
            </form>"#
        );
        Page::parse("GET /admin/applications/5/edit", &html).unwrap()
    }

    #[test]
    fn either_prefix_is_taken_from_the_page() {
        for prefix in ["doorkeeper_application", "authn_oauth_application"] {
            let form = ApplicationForm::find(&page(prefix)).unwrap();
            assert_eq!(form.form.method, "patch");
            let fields = form.read();
            assert_eq!(fields.name, "Factory & Co");
            assert_eq!(fields.redirect_uris.len(), 2);
            assert!(fields.trusted == Known::Known(false) && fields.confidential);
            assert_eq!(fields.scopes, Known::Known(BTreeSet::from(["api".to_owned()])));
            let edit = ApplicationEdit::from_iter([ApplicationAttribute::Trusted(true)]);
            let sent = form.submission(&edit).unwrap();
            let names: Vec<&str> = sent.iter().map(|(name, _)| name.as_str()).collect();
            assert_eq!(names, ["_method", "authenticity_token", &format!("{prefix}[trusted]")]);
            assert!(!edit.is_done(&fields));
        }
    }

    #[test]
    fn scopes_are_sent_whole_and_unknown_ones_are_refused() {
        let form = ApplicationForm::find(&page("p")).unwrap();
        let edit = |scopes: &[&str]| {
            let scopes = scopes.iter().map(|scope| (*scope).to_owned()).collect();
            let confidential = ApplicationAttribute::Confidential(false);
            ApplicationEdit::from_iter([ApplicationAttribute::Scopes(scopes), confidential])
        };
        let sent = form.submission(&edit(&["api", "read_user"])).unwrap();
        assert_eq!(sent.iter().filter(|(name, _)| name == "p[scopes][]").count(), 2);
        assert!(sent.contains(&("p[confidential]".to_owned(), "0".to_owned())));
        let error = form.submission(&edit(&["api", "read_observability"])).unwrap_err();
        assert!(error.message.contains("read_observability"), "{error}");
    }

    #[test]
    fn a_page_without_the_form_is_an_error_that_names_the_field() {
        let page = Page::parse("GET /x", "<title>Sign in</title><form action=/users/sign_in></form>").unwrap();
        let error = ApplicationForm::find(&page).unwrap_err();
        assert!(
            error.message.contains("redirect_uri") && error.message.contains("Sign in"),
            "{error}"
        );
    }
}
