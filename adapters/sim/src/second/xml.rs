//! §7.2: `vital_link` in XML. What the contract refuses comes with status 200 and an element `Fault`.

use std::fmt::Write as _;

use quick_xml::Reader;
use quick_xml::events::{BytesStart, Event};
use serde_json::{Value, json};

use super::Said;
use crate::refusal::Refusal;
use crate::request::{Body, Call, Part};

/// An element as read.
#[derive(Debug, Default)]
struct Element {
    name: String,
    attributes: Vec<(String, String)>,
    text: String,
    inside: Vec<Element>,
}

pub(super) fn hear(call: &mut Call) -> Result<(), Refusal> {
    let path = call.path.clone();
    let steps: Vec<&str> = path.split('/').skip(1).collect();
    call.path = match (call.method.as_str(), steps.as_slice()) {
        ("POST", ["VL", "token"]) => "/oauth/token".to_owned(),
        ("GET", ["VL", "Rooms"]) => "/v1/rooms".to_owned(),
        ("GET", ["VL", "Room", room]) => format!("/v1/rooms/{room}"),
        ("GET", ["VL", "News"]) => "/v1/changes".to_owned(),
        ("POST", ["VL", "Room", room, "Message"]) => {
            call.body = Body::Json(message(&root(call, "Message")?)?);
            format!("/v1/rooms/{room}/messages")
        }
        ("POST", ["VL", "Room", room, "Document"]) => {
            call.body = document(&root(call, "Document")?)?;
            format!("/v1/rooms/{room}/documents")
        }
        _ => return Err(Refusal::not_found("path")),
    };
    for (theirs, ours) in [("start", "cursor"), ("count", "limit"), ("after", "since")] {
        if let Some(value) = call.query.remove(theirs) {
            call.query.insert(ours.to_owned(), value);
        }
    }
    Ok(())
}

/// The document element of the body.
fn root(call: &Call, name: &str) -> Result<Element, Refusal> {
    let kind = call.header("content-type").unwrap_or("");
    if !kind.starts_with("application/xml") {
        return Err(Refusal::new(
            415,
            "unsupported_media_type",
            "send application/xml",
        ));
    }
    let text = std::str::from_utf8(&call.raw).ok();
    let root = text.and_then(parse).filter(|root| root.name == name);
    root.ok_or_else(|| Refusal::bad_request("the body is not this element"))
}

fn parse(text: &str) -> Option<Element> {
    let mut reader = Reader::from_str(text);
    reader.config_mut().expand_empty_elements = true;
    let mut open = vec![Element::default()];
    loop {
        match reader.read_event().ok()? {
            Event::Start(start) => open.push(begin(&start)?),
            Event::End(_) => {
                let done = open.pop()?;
                open.last_mut()?.inside.push(done);
            }
            Event::Text(words) => open.last_mut()?.text.push_str(&words),
            Event::CData(words) => open.last_mut()?.text.push_str(&words),
            Event::GeneralRef(reference) => {
                let sign = match reference.resolve_char_ref().ok()? {
                    Some(sign) => sign,
                    None => match &*reference {
                        "lt" => '<',
                        "gt" => '>',
                        "amp" => '&',
                        "quot" => '"',
                        "apos" => '\'',
                        _ => return None,
                    },
                };
                open.last_mut()?.text.push(sign);
            }
            Event::DocType(_) | Event::Empty(_) => return None,
            Event::Decl(_) | Event::Comment(_) | Event::PI(_) => {}
            Event::Eof => break,
        }
    }
    let mut document = open.pop().filter(|_| open.is_empty())?;
    (document.inside.len() == 1)
        .then(|| document.inside.pop())
        .flatten()
}

fn begin(start: &BytesStart<'_>) -> Option<Element> {
    let mut element = Element {
        name: start.local_name().as_ref().to_owned(),
        ..Element::default()
    };
    for attribute in start.attributes() {
        let attribute = attribute.ok()?;
        let name: &str = attribute.key.as_ref();
        let value = quick_xml::escape::unescape(&attribute.value).ok()?;
        element
            .attributes
            .push((name.to_owned(), value.into_owned()));
    }
    Some(element)
}

impl Element {
    fn attribute(&self, name: &str) -> Option<&str> {
        let found = self.attributes.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str())
    }

    fn needs(&self, name: &str) -> Result<&str, Refusal> {
        self.attribute(name)
            .ok_or_else(|| Refusal::bad_request("an attribute is missing"))
    }

    fn one(&self, name: &str) -> Option<&Element> {
        self.inside.iter().find(|element| element.name == name)
    }

    fn words(&self, name: &str) -> Result<&str, Refusal> {
        self.one(name)
            .map(|element| element.text.as_str())
            .ok_or_else(|| Refusal::bad_request("an element is missing"))
    }

    fn only(&self, attributes: &[&str], elements: &[&str]) -> Result<(), Refusal> {
        let known = self
            .attributes
            .iter()
            .all(|(name, _)| attributes.contains(&name.as_str()))
            && self
                .inside
                .iter()
                .all(|element| elements.contains(&element.name.as_str()));
        if known {
            Ok(())
        } else {
            Err(Refusal::bad_request("an unknown attribute or element"))
        }
    }
}

/// What message and document share.
fn common(element: &Element) -> Result<Value, Refusal> {
    let from = element
        .one("From")
        .ok_or_else(|| Refusal::bad_request("From is missing"))?;
    from.only(&["office", "user", "job"], &[])?;
    let mut entry = json!({
        "uid": element.needs("uid")?,
        "author": {
            "facility_id": from.needs("office")?, "user_ref": from.needs("user")?,
            "display": from.text, "profession": from.needs("job")?,
        },
        "title": element.words("Title")?,
        "occurred_at": element.words("When")?,
        "source_note": element.words("Origin")?,
    });
    if let Some(instead) = element.one("Instead") {
        instead.only(&["uid", "why"], &[])?;
        entry["replaces"] = json!(instead.needs("uid")?);
        entry["change"] = json!(instead.needs("why")?);
    }
    Ok(entry)
}

fn message(element: &Element) -> Result<Value, Refusal> {
    element.only(
        &["uid", "urgency", "confirm"],
        &[
            "From", "Title", "Text", "When", "Origin", "Instead", "Enclosed",
        ],
    )?;
    let mut entry = common(element)?;
    entry["body"] = json!(element.words("Text")?);
    entry["urgency"] = json!(element.needs("urgency")?);
    entry["ack_requested"] = json!(match element.needs("confirm")? {
        "yes" => true,
        "no" => false,
        _ => return Err(Refusal::bad_request("confirm is yes or no")),
    });
    let enclosed = element.inside.iter().filter(|one| one.name == "Enclosed");
    let enclosed: Result<Vec<&str>, Refusal> = enclosed.map(|one| one.needs("document")).collect();
    let enclosed = enclosed?;
    if !enclosed.is_empty() {
        entry["documents"] = json!(enclosed);
    }
    Ok(entry)
}

fn document(element: &Element) -> Result<Body, Refusal> {
    element.only(
        &["uid"],
        &["From", "Title", "When", "Origin", "Instead", "File"],
    )?;
    let meta = common(element)?;
    let file = element
        .one("File")
        .ok_or_else(|| Refusal::bad_request("File is missing"))?;
    file.only(&["name", "type", "sha256"], &[])?;
    let bytes = data_encoding::BASE64
        .decode(file.text.as_bytes())
        .map_err(|_| Refusal::bad_request("File is not Base64"))?;
    let part = |name: &str, bytes: Vec<u8>| Part {
        name: name.to_owned(),
        file_name: None,
        media_type: None,
        bytes: bytes.into(),
    };
    let content = Part {
        file_name: Some(file.needs("name")?.to_owned()),
        media_type: Some(file.needs("type")?.to_owned()),
        ..part("file", bytes)
    };
    Ok(Body::Parts(vec![
        part("meta", meta.to_string().into_bytes()),
        part("sha256", file.needs("sha256")?.as_bytes().to_vec()),
        content,
    ]))
}

/// XML on its way out.
struct Writer(String);

impl Writer {
    fn new() -> Self {
        Self("<?xml version=\"1.0\" encoding=\"UTF-8\"?>".to_owned())
    }

    /// An element with those attributes that have a value.
    fn element(
        &mut self,
        name: &str,
        attributes: &[(&str, &Value)],
        inside: impl FnOnce(&mut Self),
    ) {
        let _ = write!(self.0, "<{name}");
        for (name, value) in attributes {
            let value = match value {
                Value::Null => continue,
                Value::String(text) => text.clone(),
                Value::Bool(flag) => (if *flag { "yes" } else { "no" }).to_owned(),
                other => other.to_string(),
            };
            let value = quick_xml::escape::escape(value.as_str());
            let _ = write!(self.0, " {name}=\"{value}\"");
        }
        self.0.push('>');
        inside(self);
        let _ = write!(self.0, "</{name}>");
    }

    fn done(self) -> Said {
        Said {
            status: 200,
            media_type: "application/xml; charset=utf-8",
            body: self.0,
        }
    }
}

/// An answer of the contract as XML; always with status 200.
pub(super) fn answer(call: &Call, value: &Value) -> Said {
    let mut xml = Writer::new();
    let steps = call.segments();
    match steps.as_slice() {
        ["v1", "rooms"] => {
            xml.element("Rooms", &[("next", &value["next_cursor"])], |xml| {
                for one in value["items"].as_array().into_iter().flatten() {
                    room(xml, one);
                }
            });
        }
        ["v1", "rooms", _] => room(&mut xml, value),
        ["v1", "changes"] => {
            let marks = [("next", &value["next_cursor"]), ("more", &value["more"])];
            xml.element("News", &marks, |xml| {
                for one in value["items"].as_array().into_iter().flatten() {
                    item(xml, one);
                }
            });
        }
        _ => {
            let number = match &value["message_id"] {
                Value::Null => &value["document_id"],
                number => number,
            };
            xml.element("Done", &[("no", number)], |_| {});
        }
    }
    xml.done()
}

fn room(xml: &mut Writer, value: &Value) {
    let open = json!(value["status"] == "active");
    let marks = [
        ("no", &value["room_id"]),
        ("kind", &value["kind"]),
        ("open", &open),
        ("office", &value["host_facility_id"]),
    ];
    xml.element("Room", &marks, |xml| {
        let person = &value["patient"];
        if !person.is_null() {
            let marks = [
                ("no", &person["local_id"]),
                ("kana", &person["kana"]),
                ("born", &person["birth_date"]),
                ("sex", &person["sex"]),
                ("name", &person["name"]),
            ];
            xml.element("Person", &marks, |_| {});
        }
        for member in value["members"].as_array().into_iter().flatten() {
            let marks = [
                ("user", &member["user_ref"]),
                ("office", &member["facility_id"]),
                ("job", &member["profession"]),
            ];
            xml.element("Member", &marks, |_| {});
        }
    });
}

fn item(xml: &mut Writer, value: &Value) {
    let data = &value["data"];
    let number = match &data["message_id"] {
        Value::Null => &data["document_id"],
        number => number,
    };
    let marks = [
        ("no", &value["change_id"]),
        ("what", &value["type"]),
        ("at", &value["at"]),
        ("room", &value["room_id"]),
    ];
    xml.element("Item", &marks, |xml| {
        let marks = [
            ("no", number),
            ("uid", &data["uid"]),
            ("origin", &data["origin"]),
            ("user", &data["user_ref"]),
            ("job", &data["profession"]),
        ];
        xml.element("About", &marks, |_| {});
    });
}

/// A refusal; only tokens, haste and failures have a status of their own.
pub(super) fn refusal(no: &Refusal) -> Said {
    let mut xml = Writer::new();
    xml.element("Fault", &[("code", &json!(no.code))], |_| {});
    let mut said = xml.done();
    if matches!(no.status, 401 | 429 | 500..=599) {
        said.status = no.status;
    }
    said
}
