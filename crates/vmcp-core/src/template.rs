//! URI templates (RFC 6570), read the other way round: does a URI come from this template?

use crate::limits;

/// A template taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UriTemplate {
    parts: Vec<Part>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Literal(String),
    /// What an expression may expand to: with reserved characters such as `/`, or without.
    Expression {
        reserved: bool,
    },
}

/// More expressions than anybody writes; matching takes time in proportion to them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("it has more than {} expressions", limits::TEMPLATE_EXPRESSIONS)]
pub struct TooComplex;

impl UriTemplate {
    /// Takes a template apart. A brace that is never closed stands for itself.
    ///
    /// # Errors
    /// [`TooComplex`].
    pub fn parse(text: &str) -> Result<Self, TooComplex> {
        let mut parts = Vec::new();
        let mut expressions = 0;
        let mut rest = text;
        while let Some((before, behind)) = rest.split_once('{') {
            let Some((expression, after)) = behind.split_once('}') else { break };
            if !before.is_empty() {
                parts.push(Part::Literal(before.to_owned()));
            }
            expressions += 1;
            if expressions > limits::TEMPLATE_EXPRESSIONS {
                return Err(TooComplex);
            }
            // Simple expansion keeps to one path segment (section 3.2.2); every operator may bring reserved characters.
            let reserved = expression.starts_with(['+', '#', '.', '/', ';', '?', '&'])
                || expression.contains(['*', ',']);
            parts.push(Part::Expression { reserved });
            rest = after;
        }
        if !rest.is_empty() {
            parts.push(Part::Literal(rest.to_owned()));
        }
        Ok(Self { parts })
    }

    /// Whether a URI begins as the template does, which is soon found out.
    pub fn begins(&self, uri: &str) -> bool {
        match self.parts.first() {
            Some(Part::Literal(literal)) => uri.starts_with(literal.as_str()),
            _ => true,
        }
    }

    /// Whether it says of which scheme its URIs are: one that does not, such as `{+uri}`, matches everybody's.
    pub fn has_scheme(&self) -> bool {
        matches!(self.parts.first(), Some(Part::Literal(literal)) if literal.contains(':'))
    }

    /// Whether some values of the variables make the template expand to `uri`.
    ///
    /// Nothing that is longer than the bound on URIs does.
    pub fn matches(&self, uri: &str) -> bool {
        if !self.begins(uri) || uri.len() > limits::URI_BYTES {
            return false;
        }
        // Positions in `uri` up to which the parts so far can reach.
        let mut reached = vec![false; uri.len() + 1];
        reached[0] = true;
        for part in &self.parts {
            let mut next = vec![false; uri.len() + 1];
            match part {
                Part::Literal(literal) => {
                    for at in (0..uri.len()).filter(|at| reached[*at]) {
                        if uri.as_bytes()[at..].starts_with(literal.as_bytes()) {
                            next[at + literal.len()] = true;
                        }
                    }
                }
                Part::Expression { reserved } => {
                    let mut open = false;
                    for at in 0..=uri.len() {
                        open |= reached[at];
                        next[at] = open;
                        let stops = at < uri.len() && matches!(uri.as_bytes()[at], b'/' | b'?' | b'#');
                        open &= *reserved || !stops;
                    }
                }
            }
            reached = next;
        }
        reached[uri.len()]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_uri_comes_from_its_template_only() {
        let table = [
            ("test://template/{id}/data", "test://template/42/data", true),
            ("test://template/{id}/data", "test://template/4/2/data", false),
            ("test://template/{id}/data", "test://template/42/data/", false),
            ("file:///{+path}", "file:///a/b/c.txt", true),
            ("file:///{path}", "file:///a/b/c.txt", false),
            ("note://{name}", "note://groceries", true),
            ("note://{name}", "note://", true),
            ("note://{name}", "memo://x", false),
            ("x://{a}-{b}", "x://1-2-3", true),
            ("x://search{?q,n}", "x://search?q=1&n=2", true),
            ("x://plain", "x://plain", true),
            ("x://plain", "x://plainer", false),
            ("x://{broken", "x://{broken", true),
        ];
        for (template, uri, expected) in table {
            assert_eq!(UriTemplate::parse(template).unwrap().matches(uri), expected, "{template} {uri}");
        }
    }

    #[test]
    fn a_template_that_matches_every_scheme_has_none() {
        for (template, expected) in
            [("note://{id}", true), ("urn:{x}", true), ("{+uri}", false), ("n{x}://a", false)]
        {
            assert_eq!(UriTemplate::parse(template).unwrap().has_scheme(), expected, "{template}");
        }
    }

    #[test]
    fn what_would_take_long_is_refused() {
        assert_eq!(UriTemplate::parse(&"{a}".repeat(limits::TEMPLATE_EXPRESSIONS + 1)), Err(TooComplex));
        let long = format!("x://{}", "a".repeat(limits::URI_BYTES));
        assert!(!UriTemplate::parse("x://{a}").unwrap().matches(&long));
    }
}
