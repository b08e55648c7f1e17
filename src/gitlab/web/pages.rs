//! What single pages of GitLab's show beside their forms.

use std::collections::BTreeSet;

use scraper::{ElementRef, Selector};

use super::forms::{Page, any, attribute, first_text, quote, read, text_of};
use crate::http::Result;

/// Disabled buttons that are looked at.
const MOST_BUTTONS: usize = 100;

/// The names in the first column of the list of authorized applications, which says nothing else of them.
///
/// GitLab: `app/views/shared/doorkeeper/applications/_index.html.haml`. A page without that list is an error.
pub(crate) fn authorized_applications(request: &str, html: &str) -> Result<BTreeSet<String>> {
    const LIST: &str = "[data-testid='oauth-authorized-applications'], .oauth-authorized-applications";
    let page = Page::parse(request, html)?;
    let document = read(request, html)?;
    if !any(&document, LIST) {
        return Err(page.lacks("list of authorized applications"));
    }
    let (Ok(list), Ok(rows), Ok(cells)) = (
        Selector::parse(LIST),
        Selector::parse("tr[id^='application_']"),
        Selector::parse("td"),
    ) else {
        return Err(page.lacks("list of authorized applications"));
    };
    Ok(document
        .select(&list)
        .flat_map(|list| list.select(&rows).collect::<Vec<_>>())
        .filter_map(|row| row.select(&cells).next().map(text_of))
        .collect())
}

/// The public id on an application's admin page (`input#application_id`).
///
/// GitLab: `app/views/shared/doorkeeper/applications/_show.html.haml`.
pub(crate) fn application_uid(request: &str, html: &str) -> Result<String> {
    let page = Page::parse(request, html)?;
    let document = read(request, html)?;
    let field = attribute(&document, "#application_id[value]", "value");
    let uid = field.unwrap_or_else(|| first_text(&document, "#application_id, [data-testid='application-id-field']"));
    if uid.is_empty() {
        Err(page.lacks("application id (#application_id)"))
    } else {
        Ok(uid)
    }
}

/// Why the button on a user's admin page is disabled, where it is: the tooltip of the element around it.
///
/// GitLab: `app/views/admin/users/_head.html.haml`, `users_helper.rb#impersonation_error_text`.
pub(crate) fn impersonation_tooltip(html: &str) -> Option<String> {
    let document = read("GET", html).ok()?;
    let disabled = Selector::parse("[disabled]").ok()?;
    // Outwards from each such button, because pages have many titles and few of these.
    let mut tooltips = document.select(&disabled).take(MOST_BUTTONS).flat_map(|button| {
        let own = button.attr("data-testid") == Some("impersonate-user-link");
        let around = button.ancestors().filter_map(ElementRef::wrap);
        around.filter_map(move |element| {
            Some(quote(element.attr("title")?)).filter(|title| own || title.contains("impersonate"))
        })
    });
    tooltips.next()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn authorized_applications_are_those_of_their_own_list() {
        let html = r#"<section class="x" data-testid="oauth-applications"><table><tr id="application_1"><td>Mine</td></tr></table></section>
          <section data-testid="oauth-authorized-applications"><table><thead><tr><th>Name</th></tr></thead>
          <tr id="application_7"><td data-label="Name"> Factory
             Integration </td><td>2026-01-01</td><td>api</td></tr>
          <tr><td>Anonymous <em>by password</em></td></tr></table></section>"#;
        let names = authorized_applications("GET /", html).unwrap();
        assert_eq!(names.into_iter().collect::<Vec<_>>(), ["Factory Integration"]);
        assert!(authorized_applications("GET /", "<title>404</title>").is_err());
    }

    #[test]
    fn the_uid_and_the_reason_of_a_disabled_button_are_read() {
        let show = r#"<input id="application_id" type="text" value="abc" readonly>"#;
        assert_eq!(application_uid("GET /", show).unwrap(), "abc");
        assert!(application_uid("GET /", "<p>").is_err());
        let user = r#"<span class="has-tooltip" title="You cannot impersonate a blocked user"><button disabled data-testid="impersonate-user-link">I</button></span>"#;
        assert_eq!(
            impersonation_tooltip(user).as_deref(),
            Some("You cannot impersonate a blocked user")
        );
        assert_eq!(
            impersonation_tooltip("<span title='impersonate'><a href='/x'>I</a></span>"),
            None
        );
    }
}
