"""Every way in which SQLAlchemy loads objects: as of a moment, against a copy taken then.

Every table is copied to a second database. What a Session of the past loads afterwards, and what an
ordinary Session loads from the copy, are compared as whole graphs: classes, columns, what was
loaded at once and what was not, and all relationships, collections in their order.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from sqlalchemy import Engine, ForeignKey, create_engine, delete, func, inspect, select, update
from sqlalchemy.exc import InvalidRequestError
from sqlalchemy.orm import (
    DynamicMapped,
    Mapped,
    RelationshipDirection,
    Session,
    WriteOnlyMapped,
    aliased,
    contains_eager,
    defaultload,
    defer,
    immediateload,
    joinedload,
    lazyload,
    load_only,
    mapped_column,
    raiseload,
    relationship,
    selectin_polymorphic,
    selectinload,
    subqueryload,
    undefer,
    with_loader_criteria,
    with_polymorphic,
)

from sqlalchemy_matrixone_pitr import Moment, as_of, past_session
from tests.past.conftest import take_moment
from tests.past.models import (
    Article,
    Author,
    Base,
    Boss,
    Car,
    Cat,
    Circle,
    Clerk,
    Node,
    Pet,
    Review,
    Shape,
    Tag,
    Vehicle,
    article_tag,
)
from tests.past.tables import say

pytestmark = pytest.mark.one_version


class Shelf(Base):
    """With collections that are queried, and not loaded."""

    __tablename__ = "shelf"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]
    note: Mapped[str | None] = mapped_column(deferred=True)
    books: WriteOnlyMapped[Book] = relationship(order_by="Book.id")
    volumes: DynamicMapped[Book] = relationship(order_by="Book.id", viewonly=True)


class Book(Base):
    __tablename__ = "book"

    id: Mapped[int] = mapped_column(primary_key=True)
    shelf_id: Mapped[int] = mapped_column(ForeignKey("shelf.id"))
    title: Mapped[str]


def fill(session: Session) -> None:
    """Dozens of rows of every table."""
    authors = [Author(id=n, first=f"f{n}", last=f"l{n % 5}") for n in range(1, 13)]
    tags = [Tag(id=n, name=f"tag{n}") for n in range(1, 8)]
    session.add_all([*authors, *tags])
    session.add_all(
        Article(
            id=n,
            title=f"title {n}",
            author=authors[n * 5 % 12],
            tags=tags[n % 3 : n % 3 + n % 4],
            reviews=[Review(author=authors[(n + k) % 12], stars=(n * k) % 5) for k in range(n % 4)],
        )
        for n in range(1, 31)
    )
    nodes = [Node(id=n, name=f"node {n}") for n in range(1, 41)]
    for number, node in enumerate(nodes[1:], 2):
        node.parent = nodes[number // 3 - 1] if number >= 3 else nodes[0]
    session.add_all(nodes)
    session.add_all(
        Car(id=n, name=f"v{n}", doors=n) if n % 2 else Vehicle(id=n, name=f"v{n}")
        for n in range(1, 21)
    )
    session.add_all(
        Cat(id=n, name=f"p{n}", lives=n) if n % 2 else Pet(id=n, name=f"p{n}", lives=None)
        for n in range(1, 21)
    )
    session.add_all(Shape(id=n, name=f"s{n}") for n in range(1, 11))
    session.add_all(Circle(id=n, name=f"c{n}", radius=n) for n in range(1, 11))
    session.add_all(Clerk(id=n, name=f"k{n}") for n in range(1, 11))
    session.add_all(Boss(id=n, name=f"k{n}", office=f"o{n}") for n in range(11, 16))
    session.add_all(Shelf(id=n, name=f"shelf {n}", note=f"note {n}") for n in range(1, 4))
    session.flush()
    session.add_all(Book(id=n, shelf_id=n % 3 + 1, title=f"book {n}") for n in range(1, 31))
    session.commit()


def change(session: Session) -> None:
    """Change, delete and add rows of every table."""
    session.execute(delete(article_tag).where(article_tag.c.tag_id < 3))
    session.execute(delete(Review).where(Review.stars > 2))
    session.execute(update(Review).values(stars=Review.stars + 10))
    session.execute(update(Article).where(Article.id % 2 == 0).values(author_id=1, title="x"))
    session.execute(update(Author).values(first="other"))
    session.execute(update(Tag).values(name=func.concat(Tag.name, "!")))
    session.execute(update(Node).where(Node.id > 3).values(parent_id=2))
    session.execute(update(Node).values(name="changed"))
    session.execute(update(Car.__table__).values(doors=0))  # type: ignore[arg-type]
    session.execute(delete(Car.__table__).where(Car.__table__.c.id < 9))  # type: ignore[arg-type]
    session.execute(delete(Vehicle.__table__).where(Vehicle.__table__.c.id < 9))  # type: ignore[arg-type]
    for table in (Vehicle, Pet, Shape, Circle, Clerk, Boss):
        session.execute(update(table.__table__).values(name="changed"))  # type: ignore[arg-type]
    session.execute(update(Pet.__table__).values(kind="pet", lives=1))  # type: ignore[arg-type]
    session.execute(delete(Circle.__table__).where(Circle.__table__.c.id > 4))  # type: ignore[arg-type]
    session.execute(delete(Boss.__table__).where(Boss.__table__.c.id > 12))  # type: ignore[arg-type]
    session.execute(update(Book).where(Book.id < 20).values(shelf_id=1, title="changed"))
    session.execute(delete(Book).where(Book.id > 25))
    session.execute(update(Shelf).values(name="changed", note=None))
    session.add_all(
        [Tag(id=50, name="new"), Author(id=50, first="n", last="n"), Car(id=50, name="n", doors=1)]
    )
    session.add_all([Node(id=50, parent_id=1, name="new"), Cat(id=50, name="n", lives=1)])
    session.add_all([Boss(id=50, name="n", office="n"), Shape(id=50, name="n")])
    session.add(Shelf(id=50, name="new"))
    session.flush()
    session.add(Article(id=50, title="new", author_id=50, tags=[session.get_one(Tag, 50)]))
    session.add(Book(id=50, shelf_id=1, title="new"))
    session.commit()


@dataclass(frozen=True)
class Pair:
    """A database that has changed since a moment, and a copy that was taken at it."""

    engine: Engine
    then: Moment
    copy: Engine

    def past(self) -> Session:
        return past_session(self.engine, self.then, allow_unprotected=True)


@pytest.fixture
def pair(matrixone_engine: Engine, database: str) -> Iterator[Pair]:
    engine = matrixone_engine
    engine.update_execution_options(matrixone_allow_unprotected=True)
    Base.metadata.create_all(engine)
    with Session(engine) as session:
        fill(session)
    then = take_moment(engine)
    copy = create_engine(engine.url.set(database=f"{database}_c"))
    say(engine, f"CREATE DATABASE {database}_c")
    try:
        Base.metadata.create_all(copy)
        for table in Base.metadata.sorted_tables:
            say(engine, f"INSERT INTO {database}_c.{table.name} SELECT * FROM {table.name}")
        with Session(engine) as session:
            change(session)
        yield Pair(engine, then, copy)
    finally:
        copy.dispose()
        say(engine, f"DROP DATABASE {database}_c")


# -- graphs ----------------------------------------------------------------------------------------


class Graph:
    """Objects as plain values, each once; later it is a reference to the first."""

    def __init__(self, *, follow: bool = True) -> None:
        self._follow = follow
        self._seen: dict[int, int] = {}
        self._objects: list[object] = []

    def of(self, value: Any) -> Any:
        if isinstance(value, list | tuple):
            return [self.of(one) for one in value]
        state = inspect(value, raiseerr=False)
        if state is None or not hasattr(state, "mapper"):
            return value
        if id(value) in self._seen:
            return ("again", self._seen[id(value)])
        self._seen[id(value)] = len(self._seen)
        self._objects.append(value)
        mapper = state.mapper
        unloaded = sorted(state.unloaded)
        columns = {one.key: getattr(value, one.key, "none") for one in mapper.column_attrs}
        related = {}
        for one in mapper.relationships:
            if one.lazy in ("write_only", "dynamic") or not (
                self._follow or one.key not in unloaded
            ):
                continue
            related[one.key] = self.of(getattr(value, one.key))
            many = one.direction is not RelationshipDirection.MANYTOONE
            assert isinstance(related[one.key], list) == many
        return type(value).__name__, state.identity, unloaded, columns, related


Load = Callable[[Session], Any]


def check(pair: Pair, loads: dict[str, Load], *, follow: bool = True) -> None:
    """Compare what each loads of the past with that of the copy; the present is other."""
    for name, load in loads.items():
        with pair.past() as past, Session(pair.copy) as copy, Session(pair.engine) as present:
            found, expected, now = (
                Graph(follow=follow).of(load(session)) for session in (past, copy, present)
            )
        assert found == expected, name
        assert found, name
        assert found != now, name


def all_of(statement: Any) -> Load:
    return lambda session: session.scalars(statement).unique().all()


def rows_of(statement: Any) -> Load:
    return lambda session: [tuple(row) for row in session.execute(statement).unique()]


LOADERS: dict[str, Callable[..., Any]] = {
    "lazy": lazyload,
    "selectin": selectinload,
    "joined": joinedload,
    "subquery": subqueryload,
    "immediate": immediateload,
}


@pytest.mark.slow
@pytest.mark.parametrize("name", LOADERS)
def test_relationships(pair: Pair, name: str) -> None:
    """Many-to-one, many-to-many, association objects, self-referential ones in three levels."""
    load = LOADERS[name]
    articles = select(Article).order_by(Article.id)
    check(
        pair,
        {
            "articles": all_of(
                articles.options(
                    load(Article.author),
                    load(Article.tags),
                    load(Article.reviews).options(load(Review.author)),
                )
            ),
            "authors": all_of(
                select(Author)
                .order_by(Author.id)
                .options(load(Author.articles).options(load(Article.tags)))
            ),
            "children": all_of(
                select(Node)
                .where(Node.parent_id.is_(None))
                .options(load(Node.children).options(load(Node.children)))
            ),
            "parents": all_of(
                select(Node).order_by(Node.id).options(load(Node.parent).options(load(Node.parent)))
            ),
            "limit": all_of(
                articles.limit(7).offset(3).options(load(Article.tags), load(Article.reviews))
            ),
            "reviews": all_of(
                select(Review)
                .order_by(Review.article_id, Review.author_id)
                .options(load(Review.author))
            ),
        },
    )


def test_raise(pair: Pair) -> None:
    """Attributes that are not loaded raise, as in any Session."""
    options = [raiseload("*"), selectinload(Article.tags)]
    check(
        pair,
        {"some": all_of(select(Article).order_by(Article.id).options(*options))},
        follow=False,
    )
    with pair.past() as past:
        article = past.scalars(select(Article).options(*options)).first()
        assert article is not None
        with pytest.raises(InvalidRequestError):
            _ = article.author


@pytest.mark.slow
def test_inheritance(pair: Pair) -> None:
    wide = with_polymorphic(Vehicle, "*")
    flat = with_polymorphic(Vehicle, [Car], flat=True)
    pets = with_polymorphic(Pet, [Cat])
    check(
        pair,
        {
            "joined, base": all_of(select(Vehicle).order_by(Vehicle.id)),
            "joined, subclass": all_of(select(Car).order_by(Car.id)),
            "joined, wide": all_of(select(wide).order_by(wide.id)),
            "joined, condition": all_of(select(wide).where(wide.Car.doors > 5).order_by(wide.id)),
            "joined, flat": all_of(select(flat).where(flat.Car.doors < 15).order_by(flat.id)),
            "joined, selectin": all_of(
                select(Vehicle).options(selectin_polymorphic(Vehicle, [Car])).order_by(Vehicle.id)
            ),
            "joined, one": lambda session: session.get(Vehicle, 5),
            "single, base": all_of(select(Pet).order_by(Pet.id)),
            "single, subclass": all_of(select(Cat).order_by(Cat.id)),
            "single, wide": all_of(select(pets).where(pets.lives > 3).order_by(pets.id)),
            "single, one": lambda session: session.get(Pet, 3),
            "concrete, base": all_of(select(Shape).order_by(Shape.id)),
            "concrete, subclass": all_of(select(Circle).order_by(Circle.id)),
            "concrete, one": lambda session: session.get(Circle, 7),
            "union, base": all_of(select(Clerk).order_by(Clerk.id)),
            "union, subclass": all_of(select(Boss).order_by(Boss.id)),
            "union, condition": all_of(select(Clerk).where(Clerk.id > 8).order_by(Clerk.id)),
            "union, one": lambda session: session.get(Clerk, 14),
        },
    )


@pytest.mark.slow
def test_queries(pair: Pair) -> None:
    other = aliased(Node, name="other")
    tag = aliased(Tag)
    recent = select(Article).where(Article.id > 10).subquery()
    of_recent = aliased(Article, recent)
    top = select(Node.id).where(Node.parent_id.is_(None)).cte("top", recursive=True)
    tree = top.union_all(select(other.id).join(top, other.parent_id == top.c.id))
    articles = select(Article).order_by(Article.id)
    check(
        pair,
        {
            "hybrid": rows_of(select(Author.id, Author.full).order_by(Author.id)),
            "hybrid in WHERE": all_of(select(Author).where(Author.full == "f3/l3")),
            "column_property": rows_of(select(Article.id, Article.stars).order_by(Article.id)),  # type: ignore[attr-defined]
            "aliased": rows_of(
                select(Node, other).join(Node.children.of_type(other)).order_by(other.id)
            ),
            "aliased subquery": all_of(select(of_recent).order_by(of_recent.id)),
            "of_type": all_of(
                select(Author)
                .join(Author.articles)
                .join(Article.tags.of_type(tag))
                .where(tag.name == "tag2")
                .order_by(Author.id)
            ),
            "contains_eager": all_of(
                select(Article)
                .join(Article.tags)
                .where(Tag.id > 1)
                .options(contains_eager(Article.tags))
                .order_by(Article.id, Tag.id)
            ),
            "contains_eager of an alias": all_of(
                select(Article)
                .join(Article.tags.of_type(tag))
                .options(contains_eager(Article.tags.of_type(tag)))
                .order_by(Article.id, tag.id)
            ),
            "criteria": all_of(
                articles.options(
                    selectinload(Article.tags),
                    with_loader_criteria(Tag, Tag.id > 2),
                    with_loader_criteria(Article, Article.id < 20),
                )
            ),
            "criteria of a joined load": all_of(
                articles.options(joinedload(Article.tags.and_(Tag.id == 2)))
            ),
            "any and has": all_of(
                articles.where(Article.tags.any(Tag.id == 1), Article.author.has(last="l0"))
            ),
            "exists": all_of(
                select(Author)
                .where(select(Review).where(Review.author_id == Author.id).exists())
                .order_by(Author.id)
            ),
            "recursive": rows_of(select(tree.c.id).order_by(tree.c.id)),
            "from_statement": all_of(
                select(Tag).from_statement(select(Tag).where(Tag.id > 3).order_by(Tag.id))
            ),
            "union": all_of(
                select(Tag).from_statement(
                    select(Tag)
                    .where(Tag.id < 3)
                    .union_all(select(Tag).where(Tag.id > 5))
                    .order_by("id")
                )
            ),
            "legacy query": lambda session: (
                session.query(Article).filter(Article.id < 9).order_by(Article.id).all()
            ),
            "get, expire, refresh": _refreshed,
        },
    )


def _refreshed(session: Session) -> Any:
    found = session.get_one(Article, 4)
    session.expire_all()
    session.refresh(found, ["tags", "title"])
    return found


def test_columns_and_streams(pair: Pair) -> None:
    def streamed(statement: Any) -> Load:
        def load(session: Session) -> list[Any]:
            found: Iterable[Any] = session.scalars(statement.execution_options(yield_per=4))
            return list(found)

        return load

    def partitioned(session: Session) -> list[Any]:
        result = session.scalars(select(Tag).order_by(Tag.id), execution_options={"yield_per": 3})
        return [list(some) for some in result.partitions()]

    articles = select(Article).order_by(Article.id)
    check(
        pair,
        {
            "defer": all_of(articles.options(defer(Article.title))),
            "deferred column": all_of(select(Shelf).order_by(Shelf.id)),
            "undefer": all_of(select(Shelf).order_by(Shelf.id).options(undefer(Shelf.note))),
            "load_only": all_of(select(Author).order_by(Author.id).options(load_only(Author.last))),
            "defer of a relationship's": all_of(
                articles.options(
                    selectinload(Article.author), defaultload(Article.author).defer(Author.first)
                )
            ),
            "yield_per": streamed(articles),
            "yield_per, joined": streamed(articles.options(joinedload(Article.author))),
            "partitions": partitioned,
        },
    )


def test_collections_that_are_queried(pair: Pair) -> None:
    def books(session: Session) -> list[Any]:
        shelves = session.scalars(select(Shelf).order_by(Shelf.id)).all()
        return [session.scalars(shelf.books.select()).all() for shelf in shelves]

    def some(session: Session) -> list[Any]:
        shelf = session.get_one(Shelf, 2)
        return list(session.scalars(shelf.books.select().where(Book.id > 9).limit(3)))

    def volumes(session: Session) -> list[Any]:
        shelves = session.scalars(select(Shelf).order_by(Shelf.id)).all()
        return [[shelf.volumes.count(), shelf.volumes.all()] for shelf in shelves]

    check(pair, {"write-only": books, "some": some, "dynamic": volumes})


def test_of_a_session_of_the_present(pair: Pair) -> None:
    """``as_of(Class, moment)`` loads columns, and what selectinload and subqueryload bring."""
    for load in (selectinload, subqueryload):
        with Session(pair.engine) as session, Session(pair.copy) as copy:
            article = as_of(Article, pair.then)
            found = session.scalars(
                select(article).order_by(article.id).options(load(article.tags))
            ).all()
            expected = copy.scalars(
                select(Article).order_by(Article.id).options(load(Article.tags))
            ).all()
            graphs = [
                [(one.id, one.title, one.stars, [(t.id, t.name) for t in one.tags]) for one in some]  # type: ignore[attr-defined]
                for some in (found, expected)
            ]
            assert graphs[0] == graphs[1]
    entities: list[Any] = [Vehicle, Pet, Circle, Clerk]
    for entity in entities:
        with Session(pair.engine) as session, Session(pair.copy) as copy:
            then = as_of(entity, pair.then)
            graphs = [
                Graph(follow=False).of(some.scalars(select(one).order_by(one.id)).all())
                for some, one in ((session, then), (copy, entity))
            ]
            assert [one[0] for one in graphs[0]] == [one[0] for one in graphs[1]]
            assert [one[3] for one in graphs[0]] == [one[3] for one in graphs[1]]


def test_a_column_property_is_of_the_moment_of_its_entity(pair: Pair) -> None:
    """One compilation, and a moment each; joins of its table by the caller are read now."""
    now = Moment.now(pair.engine)
    with Session(pair.engine) as session, Session(pair.copy) as copy:
        for moment, other in ((now, session), (pair.then, copy), (now, session)):
            then = as_of(Article, moment)
            found = session.scalars(select(then).order_by(then.id)).all()
            expected = other.scalars(select(Article).order_by(Article.id)).all()
            stars = [[one.stars for one in some] for some in (found, expected)]  # type: ignore[attr-defined]
            assert stars[0] == stars[1]
        then = as_of(Article, pair.then)
        few = session.scalars(select(then).where(then.stars > 4).order_by(then.id)).all()  # type: ignore[attr-defined]
        same = copy.scalars(select(Article).where(Article.stars > 4).order_by(Article.id)).all()  # type: ignore[attr-defined]
        assert [one.id for one in few] == [one.id for one in same] != []
        joined = select(then.id, Review.stars).join(Review, Review.article_id == then.id)
        same_now = select(Article.id, Review.stars).join(Review, Review.article_id == Article.id)
        rows = [sorted(map(tuple, session.execute(one))) for one in (joined, same_now)]
        assert rows[0] == rows[1] != []
