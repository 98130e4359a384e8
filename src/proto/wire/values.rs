//! The types that a field may have: numbers, ids, strings, bytes, arrays, structs that may be null, records.

use super::{Malformed, Reader, Result, Wire, Writer};
use crate::proto::Uuid;
use std::borrow::Cow;

/// Text of a response: borrowed where it stands somewhere, owned where the broker makes it up.
pub type Text<'a> = Cow<'a, str>;

macro_rules! numbers {
    ($($number:ty)*) => { $(
        impl Wire<'_> for $number {
            const MIN_SIZE: usize = size_of::<$number>();
            fn read(r: &mut Reader<'_>) -> Result<Self> {
                r.chunk().map(<$number>::from_be_bytes)
            }
            fn write(&self, w: &mut Writer<'_>) {
                w.out.extend_from_slice(&self.to_be_bytes());
            }
        }
    )* };
}
numbers! { i8 i16 i32 i64 u16 f64 }

impl Wire<'_> for bool {
    const MIN_SIZE: usize = 1;
    fn read(r: &mut Reader<'_>) -> Result<Self> {
        i8::read(r).map(|byte| byte != 0)
    }
    fn write(&self, w: &mut Writer<'_>) {
        w.out.push(u8::from(*self));
    }
}

impl Wire<'_> for Uuid {
    const MIN_SIZE: usize = 16;
    fn read(r: &mut Reader<'_>) -> Result<Self> {
        r.chunk().map(Uuid)
    }
    fn write(&self, w: &mut Writer<'_>) {
        w.out.extend_from_slice(&self.0);
    }
}

/// The types that have a null beside their values: each is read and written through its `Option`.
macro_rules! nullable {
    ($(
        <$($param:ident)?> $value:ty, $null:literal, |$r:ident| $read:expr, |$this:ident, $w:ident| $write:expr;
    )*) => { $(
        impl<'a $(, $param: Wire<'a>)?> Wire<'a> for Option<$value> {
            const MIN_SIZE: usize = 1;
            fn read($r: &mut Reader<'a>) -> Result<Self> {
                $read
            }
            fn write(&self, $w: &mut Writer<'_>) {
                let $this = self.as_ref();
                $write
            }
        }
        impl<'a $(, $param: Wire<'a>)?> Wire<'a> for $value {
            const MIN_SIZE: usize = 1;
            fn read($r: &mut Reader<'a>) -> Result<Self> {
                $read.and_then(|value: Option<Self>| value.ok_or(Malformed($null)))
            }
            fn write(&self, $w: &mut Writer<'_>) {
                let $this = Some(self);
                $write
            }
        }
    )* };
}
nullable! {
    <> &'a str, "null string", |r| r.string(), |this, w| w.string(this.copied());
    <> &'a [u8], "null bytes", |r| r.byte_string(), |this, w| w.byte_string(this.copied());
    <T> Vec<T>, "null array", |r| r.array(), |this, w| w.array(this.map(Vec::as_slice));
    <> Text<'a>, "null string",
        |r| r.string().map(|text| text.map(Cow::Borrowed)),
        |this, w| w.string(this.map(|text| &**text));
}

/// A struct that may be null (KIP-893).
#[derive(Debug, Clone, PartialEq)]
pub struct Maybe<T>(pub Option<T>);

impl<T> Default for Maybe<T> {
    fn default() -> Self {
        Maybe(None)
    }
}

impl<'a, T: Wire<'a>> Wire<'a> for Maybe<T> {
    const MIN_SIZE: usize = 1;
    fn read(r: &mut Reader<'a>) -> Result<Self> {
        let null = i8::read(r)? < 0;
        Ok(Maybe(if null { None } else { Some(T::read(r)?) }))
    }
    fn write(&self, w: &mut Writer<'_>) {
        match &self.0 {
            None => (-1i8).write(w),
            Some(value) => {
                1i8.write(w);
                value.write(w);
            }
        }
    }
}

/// Record batches inside a message: bytes that are not looked into here.
#[derive(Debug, Clone, PartialEq)]
pub enum Records<'a> {
    /// They stand in the message, or are null; what reading gives.
    Here(Option<&'a [u8]>),
    /// They lie somewhere else. Writing puts down their length and notes where they belong.
    Elsewhere {
        /// How many bytes they are.
        length: usize,
    },
}

impl<'a> Records<'a> {
    /// The bytes, if they stand in the message and are not null.
    #[must_use]
    pub fn bytes(&self) -> Option<&'a [u8]> {
        match *self {
            Records::Here(bytes) => bytes,
            Records::Elsewhere { .. } => None,
        }
    }
}

impl Default for Records<'_> {
    fn default() -> Self {
        Records::Here(None)
    }
}

impl<'a> Wire<'a> for Records<'a> {
    const MIN_SIZE: usize = 1;
    fn read(r: &mut Reader<'a>) -> Result<Self> {
        r.byte_string().map(Records::Here)
    }
    fn write(&self, w: &mut Writer<'_>) {
        match *self {
            Records::Here(bytes) => w.byte_string(bytes),
            Records::Elsewhere { length } => {
                w.length(Some(length));
                w.cuts.push(w.out.len());
            }
        }
    }
}
