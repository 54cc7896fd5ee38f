//! Bodies in the shape of the output: elements checked against FHIR R4, leaves compiled.

use renkei_core::{Code, limits};

use super::compile::Compiler;
use super::element::{self, Found, Shape};
use super::kind::Kinds;
use super::plan::{Body, Expression, Letters, Member};
use super::problem::Problem;
use super::yaml::{Key, Kind, Node};

/// Keys inside a body that steer instead of naming an element.
const STEERING: &[&str] = &["each", "when", "is"];

/// A resource or row of a known type.
pub(crate) fn typed(
    compiler: &mut Compiler<'_>,
    node: &Node,
    shape: &'static str,
) -> Option<Vec<Member>> {
    let known = element::shape(shape)?;
    let Kind::Map(entries) = &node.kind else {
        wanted(compiler, node, "a map of elements");
        return None;
    };
    if let Some((key, _)) = entries
        .iter()
        .find(|(key, _)| matches!(key.text.as_str(), "id" | "resourceType"))
    {
        let says = format!("`{}` is made by renkei, from `key:`", key.text);
        compiler.problem(Problem::at(Code::MAP_ELEMENT, &key.spot, says));
    }
    members(compiler, node, known, shape, true)
}

/// The elements an overlay changes: as `typed`, without asking for what is required.
pub(crate) fn patch(
    compiler: &mut Compiler<'_>,
    node: &Node,
    shape: &'static str,
) -> Option<Vec<Member>> {
    members(compiler, node, element::shape(shape)?, shape, false)
}

/// Members of any name.
pub(crate) fn free_members(
    compiler: &mut Compiler<'_>,
    node: &Node,
    path: &str,
) -> Option<Vec<Member>> {
    match free(compiler, node, path)? {
        Body::Object(members) => Some(members),
        _ => {
            wanted(compiler, node, "a map of members");
            None
        }
    }
}

/// Anything: what a payload or a free row is made of.
pub(crate) fn free(compiler: &mut Compiler<'_>, node: &Node, path: &str) -> Option<Body> {
    match &node.kind {
        Kind::Empty => None,
        Kind::Text { .. } => {
            let (expression, _) = compiler.expression(node, path, Kinds::ANY)?;
            Some(Body::Leaf {
                expression,
                letters: Letters::Any,
            })
        }
        Kind::List(nodes) => {
            let bodies: Vec<_> = nodes
                .iter()
                .map(|node| free(compiler, node, path))
                .collect();
            Some(Body::List(bodies.into_iter().flatten().collect()))
        }
        Kind::Map(_) if node.get("is").is_some() => {
            let inner = node.get("is").cloned();
            steered(compiler, node, path, |compiler, others| {
                alone(compiler, others)?;
                free(compiler, &inner?, path)
            })
        }
        Kind::Map(_) => steered(compiler, node, path, |compiler, entries| {
            let mut members = Vec::new();
            let mut is_wrong = false;
            for (key, value) in entries {
                let name = key.text.strip_prefix('=').unwrap_or(&key.text);
                match free(compiler, value, &format!("{path}.{name}")) {
                    Some(body) => members.push(plain_member(name, body)),
                    None => is_wrong |= !matches!(value.kind, Kind::Empty),
                }
            }
            (!is_wrong).then_some(Body::Object(members))
        }),
    }
}

/// Whether nothing stands beside `is:` but what steers.
fn alone(compiler: &mut Compiler<'_>, others: &[(Key, Node)]) -> Option<()> {
    let Some((key, _)) = others.first() else {
        return Some(());
    };
    let says = format!(
        "beside `is:` only `each:` and `when:` may stand, not `{}`",
        key.text
    );
    compiler.problem(Problem::at(Code::MAP_KEY, &key.spot, says));
    None
}

fn plain_member(name: &str, body: Body) -> Member {
    Member {
        name: name.into(),
        required: false,
        many: false,
        single: false,
        is_choice: false,
        body,
    }
}

fn wanted(compiler: &mut Compiler<'_>, node: &Node, what: &str) {
    let says = format!("{what} is wanted here, this is {}", node.what());
    compiler.problem(Problem::at(Code::MAP_ELEMENT, &node.spot, says));
}

/// `each:`, `when:` and `is:` of a map around what the rest of its keys make.
fn steered(
    compiler: &mut Compiler<'_>,
    node: &Node,
    path: &str,
    rest: impl FnOnce(&mut Compiler<'_>, &[(Key, Node)]) -> Option<Body>,
) -> Option<Body> {
    let Kind::Map(entries) = &node.kind else {
        return None;
    };
    let each = match node.get("each") {
        Some(each) => Some(compiler.each(each)?),
        None => None,
    };
    if let Some((_, at)) = &each {
        compiler.items.push(*at);
    }
    let when = node
        .get("when")
        .map(|when| compiler.test(when, &format!("{path} when")));
    let others: Vec<(Key, Node)> = entries
        .iter()
        .filter(|(key, _)| !STEERING.contains(&key.text.as_str()))
        .cloned()
        .collect();
    let body = rest(compiler, &others);
    if each.is_some() {
        compiler.items.pop();
    }
    let mut body = body?;
    if let Some(when) = when {
        body = Body::When(when?, Box::new(body));
    }
    if let Some((each, _)) = each {
        body = Body::Each(each, Box::new(body));
    }
    Some(body)
}

/// The members of an object of a known shape, in the order of their definitions.
fn members(
    compiler: &mut Compiler<'_>,
    node: &Node,
    shape: &'static Shape,
    path: &str,
    is_whole: bool,
) -> Option<Vec<Member>> {
    let entries = match &node.kind {
        Kind::Map(entries) => expanded(entries),
        _ => {
            wanted(compiler, node, "a map of elements");
            return None;
        }
    };
    object(compiler, &entries, node, shape, path, is_whole)
}

fn object(
    compiler: &mut Compiler<'_>,
    entries: &[(Key, Node)],
    node: &Node,
    shape: &'static Shape,
    path: &str,
    is_whole: bool,
) -> Option<Vec<Member>> {
    let mut members: Vec<(u16, Member)> = Vec::new();
    let mut is_wrong = false;
    let mut named: Vec<String> = Vec::new();
    for (key, value) in entries {
        let name = key.text.strip_prefix('=').unwrap_or(&key.text);
        let Some(found) = shape.find(name) else {
            let what = if element::is_resource(shape.name) || path == shape.name {
                shape.name
            } else {
                path
            };
            let problem = Problem::at(
                Code::MAP_ELEMENT,
                &key.spot,
                format!("`{what}` has no element `{name}`"),
            );
            let known = shape.names();
            compiler.problem(problem.did_you_mean(name, known.iter().map(String::as_str)));
            is_wrong = true;
            continue;
        };
        if matches!(value.kind, Kind::Empty) {
            continue;
        }
        named.push(name.to_owned());
        match whole_element(compiler, value, &found, &format!("{path}.{name}"), is_whole) {
            Some(body) => members.push((
                found.order,
                Member {
                    name: name.strip_suffix("[x]").unwrap_or(name).into(),
                    required: found.required && is_whole,
                    many: found.many,
                    single: !found.many,
                    is_choice: found.is_choice,
                    body,
                },
            )),
            None => is_wrong = true,
        }
    }
    if is_whole {
        is_wrong |= !has_required(compiler, &named, node, shape, path);
    }
    members.sort_by_key(|(order, _)| *order);
    (!is_wrong).then(|| members.into_iter().map(|(_, member)| member).collect())
}

/// Whether everything that must be there is written.
fn has_required(
    compiler: &mut Compiler<'_>,
    named: &[String],
    node: &Node,
    shape: &'static Shape,
    path: &str,
) -> bool {
    let mut has_all = true;
    for wanted in shape.required() {
        let is_there = match wanted.strip_suffix("[x]") {
            Some(base) => named
                .iter()
                .any(|name| name.trim_start_matches('_').starts_with(base)),
            None => named
                .iter()
                .any(|name| name.trim_start_matches('_') == wanted),
        };
        if !is_there {
            let says = format!("`{path}.{wanted}` is required and not written");
            compiler.problem(Problem::at(Code::MAP_ELEMENT, &node.spot, says));
            has_all = false;
        }
    }
    has_all
}

/// An element with everything that stands there: one value, several, or alternatives.
fn whole_element(
    compiler: &mut Compiler<'_>,
    node: &Node,
    found: &Found,
    path: &str,
    is_whole: bool,
) -> Option<Body> {
    if path.matches('.').count() > limits::MAPPING_DEPTH {
        return None;
    }
    match &node.kind {
        Kind::List(nodes) => {
            let bodies: Vec<_> = nodes
                .iter()
                .map(|node| single(compiler, node, found, path, is_whole))
                .collect();
            let bodies: Option<Vec<Body>> = bodies.into_iter().collect();
            bodies.map(|bodies| {
                if found.many {
                    Body::List(bodies)
                } else {
                    Body::First(bodies)
                }
            })
        }
        _ => single(compiler, node, found, path, is_whole),
    }
}

fn single(
    compiler: &mut Compiler<'_>,
    node: &Node,
    found: &Found,
    path: &str,
    is_whole: bool,
) -> Option<Body> {
    match &node.kind {
        Kind::Text { .. } => leaf(compiler, node, found, path),
        Kind::Map(_) if node.get("is").is_some() => {
            let inner = node.get("is").cloned();
            steered(compiler, node, path, |compiler, others| {
                alone(compiler, others)?;
                whole_element(compiler, &inner?, found, path, is_whole)
            })
        }
        Kind::Map(_) => steered(compiler, node, path, |compiler, entries| {
            if found.kind == "Resource" {
                return contained(compiler, entries, node, path);
            }
            let Some(shape) = element::shape(found.kind) else {
                if found.is_choice || element::is_primitive(found.kind) {
                    let says =
                        format!("`{path}` is one value, not a map; with `when:` write `is:`");
                    compiler.problem(Problem::at(Code::MAP_ELEMENT, &node.spot, says));
                    return None;
                }
                // `Element` behind `_name`: extensions only.
                let shape = element::shape("Period")?;
                let only = entries.iter().all(|(key, _)| key.text == "extension");
                if !only {
                    wanted(compiler, node, "`extension:`");
                    return None;
                }
                return object(compiler, entries, node, shape, path, false).map(Body::Object);
            };
            object(compiler, &expanded(entries), node, shape, path, is_whole).map(Body::Object)
        }),
        _ => {
            wanted(compiler, node, "a value or a map of elements");
            None
        }
    }
}

/// A resource inside another: one key that is its type.
fn contained(
    compiler: &mut Compiler<'_>,
    entries: &[(Key, Node)],
    node: &Node,
    path: &str,
) -> Option<Body> {
    let [(key, value)] = entries else {
        wanted(
            compiler,
            node,
            "one key that is a type, such as `Specimen:`,",
        );
        return None;
    };
    let Some(shape) = element::shape(&key.text).filter(|_| element::is_resource(&key.text)) else {
        let problem = Problem::at(
            Code::MAP_ELEMENT,
            &key.spot,
            format!("no resource is named `{}`", key.text),
        );
        compiler.problem(problem.did_you_mean(&key.text, element::resources()));
        return None;
    };
    let members = members(
        compiler,
        value,
        shape,
        &format!("{path}.{}", key.text),
        true,
    )?;
    let kind = Body::Leaf {
        expression: Expression::Text(shape.name.into()),
        letters: Letters::Any,
    };
    let mut all = vec![plain_member("resourceType", kind)];
    all.extend(members);
    Some(Body::Object(all))
}

fn leaf(compiler: &mut Compiler<'_>, node: &Node, found: &Found, path: &str) -> Option<Body> {
    let takes = element::takes(found);
    if let Kind::Text { text, quoted: true } = &node.kind {
        return literal(compiler, node, text, found, path, takes);
    }
    let (expression, _) = compiler.expression(node, path, takes)?;
    if let Expression::Text(text) | Expression::Number(text) = &expression {
        return literal(compiler, node, &text.clone(), found, path, takes);
    }
    Some(Body::Leaf {
        expression,
        letters: letters(found.kind),
    })
}

/// A fixed value: its letters are checked now.
fn literal(
    compiler: &mut Compiler<'_>,
    node: &Node,
    text: &str,
    found: &Found,
    path: &str,
    takes: Kinds,
) -> Option<Body> {
    let is_date = |least: usize| {
        let digits = text.get(..10).unwrap_or(text).replace('-', "");
        let form = text
            .as_bytes()
            .get(4)
            .copied()
            .is_none_or(|byte| byte == b'-')
            && text.len() >= least;
        form && crate::moment::Moment::parse(&digits, jiff::tz::Offset::UTC).is_ok()
    };
    let wrong = match found.kind {
        "date" if !is_date(4) || text.len() > 10 => Some("a date such as '2025-01-31'"),
        "dateTime" if !is_date(4) => Some("a date such as '2025-01-31', or with time and offset"),
        "instant" if !is_date(20) => Some("an instant such as '2025-01-31T09:00:00+09:00'"),
        "boolean" => Some("true or false, without quotes"),
        kind if element::is_primitive(kind) && !fits(letters(kind), text) => Some(match kind {
            "integer" | "positiveInt" | "unsignedInt" => "a whole number",
            "code" => "a code without blanks at its ends",
            _ => "a text without blanks",
        }),
        "decimal" if renkei_fhir::Decimal::parse(text).is_none() => Some("a number"),
        kind if !element::is_primitive(kind) => {
            let says = format!("`{path}` wants {takes}, this is a fixed text");
            compiler.problem(Problem::at(Code::MAP_KIND, &node.spot, says));
            return None;
        }
        _ => None,
    };
    if let Some(wants) = wrong {
        let says = format!("`{path}` wants {wants}");
        compiler.problem(Problem::at(Code::MAP_KIND, &node.spot, says));
        return None;
    }
    let is_number = matches!(
        found.kind,
        "decimal" | "integer" | "positiveInt" | "unsignedInt"
    );
    let expression = if is_number {
        Expression::Number(text.into())
    } else {
        Expression::Text(text.into())
    };
    Some(Body::Leaf {
        expression,
        letters: Letters::Any,
    })
}

/// What the letters of a simple type must be like.
fn letters(kind: &str) -> Letters {
    match kind {
        "code" => Letters::Code,
        "id" | "uri" | "url" | "canonical" | "oid" | "uuid" | "base64Binary" => Letters::Solid,
        "integer" => Letters::Whole,
        "positiveInt" => Letters::Positive,
        "unsignedInt" => Letters::NotNegative,
        _ => Letters::Any,
    }
}

/// Whether a text has the letters of its type.
pub(crate) fn fits(letters: Letters, text: &str) -> bool {
    let whole = || {
        let digits = text.strip_prefix('-').unwrap_or(text);
        !digits.is_empty() && digits.len() <= 10 && digits.bytes().all(|byte| byte.is_ascii_digit())
    };
    match letters {
        Letters::Any => true,
        Letters::Solid => !text.contains(char::is_whitespace),
        Letters::Code => {
            !text.contains(|sign: char| sign.is_whitespace() && sign != ' ') && !text.contains("  ")
        }
        Letters::Whole => whole() && text.parse::<i32>().is_ok(),
        Letters::Positive => whole() && text.parse::<i32>().is_ok_and(|number| number > 0),
        Letters::NotNegative => whole() && text.parse::<i32>().is_ok_and(|number| number >= 0),
    }
}

/// `code.text: x` is `code: {text: x}`.
fn expanded(entries: &[(Key, Node)]) -> Vec<(Key, Node)> {
    let mut all: Vec<(Key, Node)> = Vec::new();
    for (key, value) in entries {
        let Some((first, rest)) = key
            .text
            .split_once('.')
            .filter(|_| !key.text.starts_with('='))
        else {
            all.push((key.clone(), value.clone()));
            continue;
        };
        let part = |text: &str| Key {
            text: text.to_owned(),
            spot: key.spot.clone(),
        };
        let inner = (part(rest), value.clone());
        let known = all.iter_mut().find(|(known, _)| known.text == first);
        match known.map(|(_, node)| &mut node.kind) {
            Some(Kind::Map(members)) => members.push(inner),
            _ => all.push((
                part(first),
                Node {
                    spot: value.spot.clone(),
                    kind: Kind::Map(vec![inner]),
                },
            )),
        }
    }
    all
}
