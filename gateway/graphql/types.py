"""GraphQL types made from the contract shapes, here and nowhere else.

Sources of these types are the shapes themselves, or the parsed JSON of ready-made answers (`Registry.resolve`).
What GraphQL cannot say (mappings with free keys, unions of inputs) travels as the scalar JSON.
"""

import enum
import inspect
import re
import sys
import types
from collections.abc import Iterable, Mapping
from datetime import date, datetime
from decimal import Decimal
from typing import Annotated, Any, Literal, Optional, Union, get_args, get_origin
from uuid import UUID

import strawberry
from graphql import GraphQLError
from pydantic import BaseModel
from pydantic.fields import FieldInfo
from strawberry.scalars import JSON
from strawberry.types.scalar import ScalarDefinition

from gateway.graphql.fields import Link, Node
from gateway.graphql.identifiers import InvalidNodeId, node_id, uuid_of
from shared.contracts.platform.shapes import ResultFile
from shared.money import Money
from shared.security import SecretText

# Whole numbers that may exceed GraphQL's Int of 32 bits.
_LONG = {(Money, "amount"), (ResultFile, "size")}
_NOT_A_NAME = re.compile(r"\W+")

Long = type("Long", (int,), {"__doc__": "Marks a whole number of up to 64 bits."})


@strawberry.interface(name="Node", description="Something with a global id, which `node` finds again.")
class NodeInterface:
    id: strawberry.ID = strawberry.field(description="Opaque and global; arguments take it, and the UUID as well.")


class Registry:
    """Every type made so far; each shape has one type and one input type."""

    def __init__(self, nodes: Iterable[Node] = (), links: Iterable[Link] = ()) -> None:
        self.nodes = {declared.shape: declared for declared in nodes}
        # The type whose global ids a shape has: its own, or that of the whole thing.
        self._id_types = {shape: each.shape for each in self.nodes.values() for shape in (each.shape, *each.also)}
        self.links = list(links)
        self._outputs: dict[type, type] = {}
        self._inputs: dict[type, type] = {}
        self._connections: dict[type, type] = {}
        self._edges: dict[Any, type] = {}
        self._enums: dict[frozenset[str], Any] = {}
        self._names: dict[str, object] = {}

    @property
    def id_types(self) -> dict[str, list[str]]:
        """Names of types by what messages call their ids: a connection is one to sync, and one that brings orders."""
        found: dict[str, list[str]] = {}
        for shape, declared in self.nodes.items():
            if declared.has_global_id:
                continue
            found.setdefault(declared.key, []).append(type_name(shape))
        return found

    def output(self, annotation: Any, owner: str = "") -> Any:
        """The strawberry annotation for values of `annotation`. `owner` names an enum that has no name of its own."""
        return self._converted(annotation, owner, self.object_type, is_input=False)

    def input(self, annotation: Any, owner: str = "") -> Any:
        """The strawberry annotation for arguments of `annotation`."""
        return self._converted(annotation, owner, self.input_type, is_input=True)

    def _converted(self, annotation: Any, owner: str, of_shape: Any, *, is_input: bool) -> Any:
        origin, arguments = get_origin(annotation), get_args(annotation)
        if origin is Annotated:
            return self._converted(arguments[0], owner, of_shape, is_input=is_input)
        if origin in (Union, types.UnionType):
            return self._union(arguments, owner, of_shape, is_input=is_input)
        if origin in (list, tuple, set, frozenset):
            return listed(self._converted(arguments[0], owner, of_shape, is_input=is_input))
        if origin is Literal:
            return self._enum(annotation, owner)
        if inspect.isclass(annotation):
            return _SCALARS.get(annotation) or self._of_class(annotation, of_shape)
        return _SCALARS.get(getattr(annotation, "__supertype__", None), JSON)

    def _of_class(self, annotation: type, of_shape: Any) -> Any:
        if issubclass(annotation, BaseModel):
            return of_shape(annotation)
        if issubclass(annotation, enum.Enum):
            return self._named(annotation.__name__, strawberry.enum(annotation))
        return JSON

    def _union(self, arguments: tuple[Any, ...], owner: str, of_shape: Any, *, is_input: bool) -> Any:
        members = [argument for argument in arguments if argument is not type(None)]
        if len(members) == 1:
            inner = self._converted(members[0], owner, of_shape, is_input=is_input)
        elif not is_input and all(inspect.isclass(member) and issubclass(member, BaseModel) for member in members):
            inner = named_union(owner, [self.object_type(member) for member in members])
        else:
            inner = JSON
        return optional(inner) if len(members) < len(arguments) else inner

    def _enum(self, literal: Any, owner: str) -> Any:
        values = get_args(literal)
        if not all(isinstance(value, str) for value in values):
            return int if all(isinstance(value, int) for value in values) else JSON
        known = self._enums.get(frozenset(values))
        if known is None:
            name = _alias(literal) or owner
            name = owner if name in self._names else name
            members = [(_NOT_A_NAME.sub("_", value).upper() or "NONE", value) for value in values]
            known = strawberry.enum(_new_enum(name, members))
            self._enums[frozenset(values)] = self._named(name, known)
        return known

    def _named(self, name: str, type_: Any) -> Any:
        if self._names.setdefault(name, type_) is not type_:
            raise TypeError(f"Two GraphQL types want the name {name}: rename one of the shapes")
        return type_

    # --- objects

    def object_type(self, shape: type[BaseModel]) -> type:
        """The type of a shape. Shapes that contain themselves are fine."""
        made = self._outputs.get(shape)
        if made is None:
            name = type_name(shape)
            is_node = shape in self.nodes
            made = type(name, (NodeInterface,) if is_node else (), {"is_type_of": classmethod(_type_test(shape))})
            self._outputs[shape] = self._named(name, made)
            made.__annotations__ = {}
            for field_name, field in shape.model_fields.items():
                self._add_field(made, shape, field_name, field)
            for declared in self.links:
                if declared.shape is shape:
                    self._add_link(made, declared)
            if not made.__annotations__ and not is_node:
                raise TypeError(f"{name} has no fields; GraphQL has no such type")
            strawberry.type(made, name=name, description=text_of(shape))
        return made

    def _add_field(self, made: type, shape: type[BaseModel], name: str, field: FieldInfo) -> None:
        if name == "id" and shape in self._id_types and self.nodes[self._id_types[shape]].has_global_id:
            made.__annotations__["id"] = strawberry.ID
            made.id = strawberry.field(description="Opaque and global; REST knows it, too.")  # type: ignore[attr-defined]
            return
        if name == "id" and shape in self._id_types:
            made.__annotations__ |= {"id": strawberry.ID, "uuid": UUID}
            made.id = strawberry.field(resolver=_global_id(type_name(self._id_types[shape])))  # type: ignore[attr-defined]
            made.uuid = strawberry.field(resolver=_own_id, description="The id that REST knows.")  # type: ignore[attr-defined]
            return
        is_long = (shape, name) in _LONG
        annotation = Long if is_long else self.output(field.annotation, f"{type_name(shape)}{_title(name)}")
        made.__annotations__[name] = annotation
        setattr(made, name, strawberry.field(description=field.description))

    def _add_link(self, made: type, declared: Link) -> None:
        target = self.object_type(declared.target)
        is_list = get_origin(declared.shape.model_fields[declared.by].annotation) is list
        returns = listed(target) if is_list else optional(target)

        async def resolve(root: Any, info: strawberry.Info) -> Any:
            wanted = value_of(root, declared.by)
            loader = info.context.loader(declared)
            if is_list:
                return [found for found in await loader.load_many(wanted) if found is not None]
            return None if wanted is None else await loader.load(wanted)

        resolve.__annotations__ = {"root": Any, "info": strawberry.Info, "return": returns}
        setattr(made, declared.name, strawberry.field(resolver=resolve))

    def connection_type(self, page: type[BaseModel], page_info: type) -> type:
        """The Relay connection of an answer with `items` and `next`; what else it has comes along."""
        made = self._connections.get(page)
        if made is None:
            item = self.output(get_args(page.model_fields["items"].annotation)[0])
            edge = self._edges.get(item) or self._plain_type(f"{item.__name__}Edge", {"node": item, "cursor": str})
            self._edges[item] = edge
            more = {
                name: self.output(field.annotation, f"{type_name(page)}{_title(name)}")
                for name, field in page.model_fields.items()
                if name not in ("items", "next")
            }
            name = f"{item.__name__}Connection"
            made = self._connections[page] = self._plain_type(
                f"{type_name(page)}Connection" if name in self._names else name,
                {"edges": listed(edge), "nodes": listed(item), "page_info": page_info, **more},
            )
        return made

    def _plain_type(self, name: str, fields: dict[str, Any]) -> type:
        made = type(name, (), {"__annotations__": fields})
        return self._named(name, strawberry.type(made, name=name))

    def input_type(self, shape: type[BaseModel]) -> type:
        """The input type of a shape: what has a default may be left out."""
        made = self._inputs.get(shape)
        if made is None:
            name = f"{type_name(shape)}Input"
            made = self._inputs[shape] = self._named(name, type(name, (), {}))
            made.__annotations__ = {}
            for field_name, field in shape.model_fields.items():
                made.__annotations__[field_name] = self.argument(shape, field_name, field)
                given = strawberry.field(
                    description=field.description, default=strawberry.UNSET if not field.is_required() else _NOTHING
                )
                setattr(made, field_name, given)
            strawberry.input(made, name=name, description=text_of(shape))
        return made

    def argument(self, shape: type[BaseModel], name: str, field: FieldInfo) -> Any:
        """The annotation of one argument or input field: null is allowed where it may be left out."""
        annotation = (
            Long if (shape, name) in _LONG else self.input(field.annotation, f"{type_name(shape)}{_title(name)}")
        )
        return annotation if field.is_required() else optional(annotation)


def optional(annotation: Any) -> Any:
    """`annotation`, or null."""
    return Optional[annotation]  # noqa: UP045


def listed(annotation: Any) -> Any:
    return list[annotation]


def described(annotation: Any, text: str | None) -> Any:
    """An argument with its description."""
    return Annotated[annotation, strawberry.argument(description=text)]


def named_union(name: str, members: list[Any]) -> Any:
    """A union of object types."""
    return Annotated[Union[tuple(members)], strawberry.union(name)]  # noqa: UP007


def value_of(source: Any, name: str) -> Any:
    """A field of a shape, or of the parsed JSON that stands for one."""
    return source.get(name) if isinstance(source, Mapping) else getattr(source, name)


def plain(value: Any) -> Any:
    """An argument as the contract shapes take it: input objects as mappings without what was left out."""
    if isinstance(value, enum.Enum):
        return value.value
    if hasattr(value, "__strawberry_definition__"):
        given = {name: getattr(value, name) for name in value.__annotations__}
        return {name: plain(item) for name, item in given.items() if item is not strawberry.UNSET}
    if isinstance(value, list):
        return [plain(item) for item in value]
    return value


def type_name(shape: type[BaseModel]) -> str:
    """`Order` is Order, `Page[Order]` is OrderPage."""
    generic = shape.__pydantic_generic_metadata__
    if generic["args"]:
        inner = "".join(getattr(argument, "__name__", "") for argument in generic["args"])
        return f"{inner}{generic['origin'].__name__}"  # type: ignore[union-attr]
    return shape.__name__


def text_of(shape: type[BaseModel]) -> str | None:
    """A shape's docstring as schema text."""
    return inspect.cleandoc(shape.__dict__["__doc__"]) if shape.__dict__.get("__doc__") else None


_NOTHING: Any = inspect.signature(strawberry.field).parameters["default"].default


def _new_enum(name: str, members: list[tuple[str, str]]) -> Any:
    return enum.Enum(name, members)


def _title(name: str) -> str:
    return "".join(word.capitalize() for word in name.split("_"))


def _alias(literal: Any) -> str | None:
    """The name a contract module gave this Literal: `JobState = Literal[…]`."""
    for module_name, module in list(sys.modules.items()):
        if module_name.startswith("shared.contracts.") and module_name.endswith(".shapes"):
            for name, value in vars(module).items():
                if get_origin(value) is Literal and value == literal:
                    return name
    return None


def _type_test(shape: type) -> Any:
    def is_type_of(_cls: type, value: Any, _info: Any) -> bool:
        return isinstance(value, shape | Mapping)

    return is_type_of


def _global_id(type_name: str) -> Any:
    def resolve(root: Any) -> strawberry.ID:
        return strawberry.ID(node_id(type_name, value_of(root, "id")))

    resolve.__annotations__ = {"root": Any, "return": strawberry.ID}
    return _of_source(resolve)


def _of_source(resolve: Any) -> Any:
    """A resolver that looks at nothing but the object: the compiled path calls it as it is."""
    resolve.of_source = resolve
    return resolve


@_of_source
def _own_id(root: Any) -> UUID:
    return value_of(root, "id")


# --- scalars: each writes what REST would, also from parsed JSON


def _read_uuid(value: object) -> UUID:
    try:
        return uuid_of(value)
    except InvalidNodeId as error:
        raise GraphQLError(error.detail, original_error=error) from None


def _read_long(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not -(2**63) <= value < 2**63:
        raise GraphQLError(f"Long cannot represent {value!r}: a whole number of up to 64 bits is needed.")
    return value


def _read_text(value: object) -> str:
    if not isinstance(value, str):
        raise GraphQLError(f"A text is needed, not {value!r}.")
    return value


def _read_secret(value: object) -> SecretText:
    return SecretText(_read_text(value))


def _iso(value: Any) -> str:
    return value if isinstance(value, str) else value.isoformat().replace("+00:00", "Z")


def _revealed(value: Any) -> str:
    return value.reveal() if isinstance(value, SecretText) else str(value)


def _scalar(name: str, description: str, serialize: Any, parse: Any) -> ScalarDefinition:
    return strawberry.scalar(name=name, description=description, serialize=serialize, parse_value=parse)


# Dates and decimals are read by the contract shapes themselves, as in REST.
SCALAR_MAP: dict[object, ScalarDefinition] = {
    UUID: _scalar("UUID", "A UUID; arguments take a node id as well.", str, _read_uuid),
    Long: _scalar("Long", "A whole number of up to 64 bits.", int, _read_long),
    datetime: _scalar("DateTime", "A moment (RFC 3339), in UTC.", _iso, _read_text),
    date: _scalar("Date", "A day (ISO 8601).", _iso, _read_text),
    Decimal: _scalar("Decimal", "A decimal number as a text.", str, _read_text),
    SecretText: _scalar("Secret", "A secret, shown to whom it belongs.", _revealed, _read_secret),
}
_SCALARS: dict[Any, Any] = {
    **{type_: type_ for type_ in SCALAR_MAP},
    str: str,
    int: int,
    bool: bool,
    float: float,
}
