//! The smallest HTML in which GitLab's forms can be told apart: a layout and the helpers that Rails' form builder has.
//!
//! Order and names of the fields are GitLab's (`app/views/**`), the markup around them is ours: a client that parses
//! forms sees what it would see there, and a person with a browser can click through.

use std::fmt::Write as _;

/// Escapes text for element content and for attribute values in double or single quotes.
pub(crate) fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            _ => out.push(c),
        }
    }
    out
}

/// Each text, escaped, between the same two pieces of markup.
pub(crate) fn each<T: AsRef<str>>(texts: impl IntoIterator<Item = T>, before: &str, after: &str) -> String {
    texts.into_iter().fold(String::new(), |html, text| {
        html + before + &escape(text.as_ref()) + after
    })
}

/// A form under construction: `open`, fields in order, `finish`.
pub(crate) struct Form {
    html: String,
}

impl Form {
    /// Opens a form as Rails does: the method that browsers lack goes into a hidden `_method` field, which stands
    /// first, and the masked CSRF token follows.
    pub(crate) fn open(id: &str, action: &str, method: &str, token: &str) -> Self {
        let mut html = format!(
            "<form id=\"{}\" action=\"{}\" accept-charset=\"UTF-8\" method=\"post\">\n",
            escape(id),
            escape(action)
        );
        if method != "post" {
            let _ = writeln!(
                html,
                "<input type=\"hidden\" name=\"_method\" value=\"{method}\" autocomplete=\"off\">"
            );
        }
        let _ = writeln!(
            html,
            "<input type=\"hidden\" name=\"authenticity_token\" value=\"{}\" autocomplete=\"off\">",
            escape(token)
        );
        Self { html }
    }

    /// A hidden field. GitLab's consent page has some without a `value` at all (`nonce` of nil): `None`.
    pub(crate) fn hidden(mut self, name: &str, value: Option<&str>) -> Self {
        let value = value
            .map(|value| format!(" value=\"{}\"", escape(value)))
            .unwrap_or_default();
        let _ = writeln!(
            self.html,
            "<input type=\"hidden\" name=\"{}\" id=\"{}\"{value} autocomplete=\"off\">",
            escape(name),
            dom_id(name)
        );
        self
    }

    /// A labelled input of one line: `kind` is `text` or `password`.
    pub(crate) fn input(mut self, kind: &str, name: &str, label: &str, value: &str) -> Self {
        let value = if value.is_empty() {
            String::new()
        } else {
            format!(" value=\"{}\"", escape(value))
        };
        let _ = writeln!(
            self.html,
            "<p><label for=\"{id}\">{label}</label><br><input type=\"{kind}\" name=\"{name}\" id=\"{id}\"{value}></p>",
            id = dom_id(name),
            label = escape(label),
            name = escape(name),
        );
        self
    }

    /// A labelled text area; the line break after the tag is the one that HTML drops.
    pub(crate) fn text_area(mut self, name: &str, label: &str, value: &str, hint: &str) -> Self {
        let _ = writeln!(
            self.html,
            "<p><label for=\"{id}\">{label}</label><br><textarea name=\"{name}\" id=\"{id}\" rows=\"3\" cols=\"80\">\n{value}</textarea><br><small>{hint}</small></p>",
            id = dom_id(name),
            label = escape(label),
            name = escape(name),
            value = escape(value),
            hint = escape(hint),
        );
        self
    }

    /// A checkbox with its hidden twin in front: unticked, the browser sends `0`, ticked, it sends `0` and `1`.
    pub(crate) fn checkbox(mut self, name: &str, label: &str, checked: bool) -> Self {
        let _ = writeln!(
            self.html,
            "<p><input name=\"{name}\" type=\"hidden\" value=\"0\" autocomplete=\"off\"><input type=\"checkbox\" value=\"1\"{checked} name=\"{name}\" id=\"{id}\"> <label for=\"{id}\">{label}</label></p>",
            id = dom_id(name),
            label = escape(label),
            name = escape(name),
            checked = if checked { " checked=\"checked\"" } else { "" },
        );
        self
    }

    /// A checkbox with a title above it, which is a label of it too, as GitLab's forms have them.
    pub(crate) fn titled_checkbox(self, name: &str, title: &str, label: &str, checked: bool) -> Self {
        self.raw(&format!(
            "<p class=\"title\"><label for=\"{}\">{}</label></p>",
            dom_id(name),
            escape(title)
        ))
        .checkbox(name, label, checked)
    }

    /// A checkbox of a list (`name[]`), which has no twin: unticked, nothing is sent.
    pub(crate) fn choice(mut self, name: &str, value: &str, checked: bool) -> Self {
        let _ = writeln!(
            self.html,
            "<div><input type=\"checkbox\" name=\"{name}\" id=\"{id}_{value}\" value=\"{value}\"{checked}> <label for=\"{id}_{value}\">{value}</label></div>",
            id = dom_id(name),
            name = escape(name),
            value = escape(value),
            checked = if checked { " checked=\"checked\"" } else { "" },
        );
        self
    }

    /// Any markup of one's own.
    pub(crate) fn raw(mut self, html: &str) -> Self {
        self.html.push_str(html);
        self.html.push('\n');
        self
    }

    /// Closes the form with its button, which has no name.
    pub(crate) fn submit(self, label: &str) -> String {
        self.close("submit", label)
    }

    /// Closes it with a button that is not the one to press: it takes something away, or says no.
    pub(crate) fn submit_quietly(self, label: &str) -> String {
        self.close("submit quiet", label)
    }

    fn close(mut self, class: &str, label: &str) -> String {
        let _ = writeln!(
            self.html,
            "<button type=\"submit\" class=\"{class}\">{}</button>\n</form>",
            escape(label)
        );
        self.html
    }
}

/// Rails' id of a field: `user[login]` is `user_login`.
fn dom_id(name: &str) -> String {
    escape(&name.replace("[]", "").replace('[', "_").replace(']', ""))
}

/// What all pages look like; `accent` is a property of the page. Nothing is wider than a small window.
const STYLE: &str = "\
*{box-sizing:border-box}\
body{font:16px/1.5 system-ui,sans-serif;color:#28272d;max-width:60rem;margin:0 auto;padding:1rem;overflow-wrap:anywhere}\
header{display:flex;flex-wrap:wrap;gap:.25rem 1rem;align-items:baseline;border-bottom:3px solid var(--accent);padding-bottom:.5rem;margin-bottom:1rem}\
header small{color:#626168}\
h1{font-size:1.75rem;line-height:1.2}h2{font-size:1.35rem;margin-bottom:.5rem}h3{font-size:1.1rem;margin-bottom:.5rem}\
a{color:#0b5cad}\
table{display:block;max-width:100%;overflow-x:auto;overflow-wrap:normal;border-collapse:collapse}\
td,th{border:1px solid #bfbfc3;padding:.3rem .6rem;text-align:left;vertical-align:top}\
form{margin:0 0 .75rem}td form{margin:.25rem 0 0}.row{display:flex;flex-wrap:wrap;gap:.75rem}\
code,input,textarea,button{font-size:1rem}small,.title{color:#4c4b51}.title{margin-bottom:-.75rem;font-weight:600}\
input[type=text],input[type=password],textarea{font-family:inherit;width:30rem;max-width:100%;padding:.35rem .5rem;border:1px solid #89888d;border-radius:4px}\
input[name=search]{width:auto}textarea{width:40rem}\
button{padding:.35rem .8rem;border:1px solid #89888d;border-radius:4px;background:#fff;color:#28272d;cursor:pointer}\
button.submit{background:#0b5cad;border-color:#0b5cad;color:#fff}button.quiet{background:#fff;border-color:#89888d;color:#28272d}\
button:disabled{color:#737278;cursor:not-allowed}\
.flash{border-left:4px solid var(--accent);background:#f4f4f4;padding:.5rem 1rem;margin-bottom:1rem}\
.error{color:#a00}";

/// Everything around the content of a page.
pub(crate) struct Layout<'a> {
    /// The title, without the name of the product; empty: that name alone.
    pub(crate) title: &'a str,
    /// The masked CSRF token for the `meta` tags.
    pub(crate) csrf: &'a str,
    /// A message from the request before, or of this one.
    pub(crate) flash: Option<&'a str>,
    /// Links and forms at the top: already HTML.
    pub(crate) bar: &'a str,
    /// The stylesheet's accent, so that a person sees which of the two products this is.
    pub(crate) accent: &'a str,
    /// Whose page it is: `GitLab` or `Factory`.
    pub(crate) product: &'a str,
}

impl Layout<'_> {
    pub(crate) fn page(&self, content: &str) -> String {
        let flash = self
            .flash
            .map(|text| {
                format!(
                    "<div class=\"flash\" role=\"alert\" data-testid=\"alert\">{}</div>\n",
                    escape(text)
                )
            })
            .unwrap_or_default();
        let csrf = if self.csrf.is_empty() {
            String::new()
        } else {
            format!(
                "<meta name=\"csrf-param\" content=\"authenticity_token\">\n<meta name=\"csrf-token\" content=\"{}\">\n",
                escape(self.csrf)
            )
        };
        format!(
            "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n{csrf}<title>{title}{product}</title>\n\
             <style>:root{{--accent:{accent}}}{STYLE}</style>\n</head>\n<body>\n\
             <header><strong>{product}</strong> <small>sandbox</small> {bar}</header>\n{flash}{content}\n</body>\n</html>\n",
            title = if self.title.is_empty() {
                String::new()
            } else {
                format!("{} · ", escape(self.title))
            },
            product = escape(self.product),
            accent = self.accent,
            bar = self.bar,
        )
    }
}

#[cfg(test)]
mod tests {
    use super::{Form, escape};

    #[test]
    fn remote_text_cannot_leave_its_attribute() {
        assert_eq!(escape("\"><script>'&"), "&quot;&gt;&lt;script&gt;&#39;&amp;");
    }

    #[test]
    fn a_checkbox_has_its_hidden_twin_in_front() {
        let html = Form::open("f", "/x", "patch", "t")
            .checkbox("a[b]", "B", true)
            .submit("Save");
        let twin = html.find("type=\"hidden\" value=\"0\"");
        let tick = html.find("type=\"checkbox\" value=\"1\" checked");
        assert!(twin.is_some() && twin < tick, "{html}");
        assert!(html.find("_method") < html.find("authenticity_token"), "{html}");
    }
}
