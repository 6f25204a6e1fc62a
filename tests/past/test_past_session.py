"""Sessions of the past: every shape of relationship and inheritance, against what was then."""

from __future__ import annotations

import asyncio
import pickle
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from sqlalchemy import Engine, create_engine, event, inspect, select, text, update
from sqlalchemy.exc import InvalidRequestError
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker
from sqlalchemy.orm import (
    Session,
    aliased,
    joinedload,
    lazyload,
    raiseload,
    scoped_session,
    selectin_polymorphic,
    selectinload,
    sessionmaker,
    subqueryload,
    with_polymorphic,
)

from sqlalchemy_matrixone_pitr import (
    Moment,
    PastError,
    PastWriteError,
    Pitr,
    PitrValidationError,
    as_of,
    moment_of,
    past_session,
    past_session_async,
)
from tests.conftest import Server
from tests.past.conftest import take_moment
from tests.past.models import (
    Article,
    Author,
    Base,
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
    change,
    fill,
)
from tests.policies import protect

pytestmark = pytest.mark.one_version

OPEN: dict[str, Any] = {"allow_unprotected": True}


@dataclass(frozen=True)
class World:
    engine: Engine
    then: Moment


@pytest.fixture
def world(engine: Engine) -> World:
    engine.update_execution_options(matrixone_allow_unprotected=True)
    Base.metadata.create_all(engine)
    with Session(engine) as session:
        fill(session)
    then = take_moment(engine)
    with Session(engine) as session:
        change(session)
    return World(engine, then)


def _tree(session: Session, *options: Any) -> Any:
    root = session.scalars(select(Node).where(Node.id == 1).options(*options)).unique().one()
    return root.name, [(child.name, child.parent is root) for child in root.children]


def _articles(session: Session, *options: Any) -> Any:
    found = session.scalars(select(Article).order_by(Article.id).options(*options)).unique()
    return [
        (
            article.title,
            article.author.last,
            [tag.name for tag in article.tags],
            [(review.stars, review.author.last) for review in article.reviews],
            [author.last for author in article.reviewers],
            article.stars,  # type: ignore[attr-defined]
        )
        for article in found
    ]


ALL = [
    (
        "one",
        "L",
        ["red", "blue"],
        [(3, "L"), (5, "M")],
        ["L", "M"],
        8,
    ),
    ("two", "L", ["blue"], [], [], None),
]

LOADERS = [lazyload, selectinload, joinedload, subqueryload]


@pytest.mark.parametrize("load", LOADERS)
def test_relationships(world: World, load: Callable[..., Any]) -> None:
    options = [
        load(Article.author),
        load(Article.tags),
        load(Article.reviews).options(load(Review.author)),
    ]
    with past_session(world.engine, world.then, **OPEN) as past:
        assert _articles(past, *options) == ALL
        assert _tree(past, load(Node.children)) == ("root", [("a", True), ("b", True)])
        author = past.scalars(select(Author).where(Author.id == 1).options(load(Author.articles)))
        assert [article.title for article in author.unique().one().articles] == ["one", "two"]


def test_raiseload_raises_as_ever(world: World) -> None:
    with past_session(world.engine, world.then, **OPEN) as past:
        article = past.scalars(select(Article).options(raiseload("*"))).first()
        assert article is not None
        with pytest.raises(InvalidRequestError):
            _ = article.tags


def _clerks(session: Session, entity: Any) -> list[tuple[str, str | None]]:
    found = session.scalars(select(entity).order_by(entity.id))
    return [(clerk.name, getattr(clerk, "office", None)) for clerk in found]


def test_inheritance(world: World) -> None:
    with past_session(world.engine, world.then, **OPEN) as past:
        vehicles = past.scalars(select(Vehicle).order_by(Vehicle.id)).all()
        assert [(type(v), v.name) for v in vehicles] == [(Car, "beetle"), (Vehicle, "bike")]
        assert isinstance(vehicles[0], Car)
        assert vehicles[0].doors == 2
    with past_session(world.engine, world.then, **OPEN) as past:
        assert past.get_one(Vehicle, 1).doors == 2  # type: ignore[attr-defined]
        assert past.get_one(Car, 1).doors == 2
        pets = past.scalars(select(Pet).order_by(Pet.id)).all()
        assert [(type(p), p.name, p.lives) for p in pets] == [(Cat, "tom", 9), (Pet, "rex", None)]
        assert past.scalars(select(Cat)).one().lives == 9
        assert past.scalars(select(Shape)).one().name == "blob"
        assert past.scalars(select(Circle)).one().radius == 4
        assert _clerks(past, Clerk) == [("cal", None), ("bea", "attic")]
    with past_session(world.engine, world.then, **OPEN) as past:
        wide = with_polymorphic(Vehicle, [Car])
        assert past.scalars(select(wide).where(wide.Car.doors == 2)).one().name == "beetle"
    with past_session(world.engine, world.then, **OPEN) as past:
        option = selectin_polymorphic(Vehicle, [Car])
        found = past.scalars(select(Vehicle).options(option).order_by(Vehicle.id)).all()
        assert found[0].doors == 2  # type: ignore[attr-defined]


def test_expressions_and_joins(world: World) -> None:
    with past_session(world.engine, world.then, **OPEN) as past:
        assert past.scalars(select(Author.full).order_by(Author.id)).all() == ["Ada/L", "Bob/M"]
        assert past.scalars(select(Author).where(Author.full == "Ada/L")).one().full == "Ada/L"
        tagged = select(Article.title).join(Article.tags).where(Tag.name == "red")
        assert past.scalars(tagged).all() == ["one"]
        other = aliased(Node)
        pairs = select(Node.name, other.name).join(Node.children.of_type(other)).order_by(other.id)
        assert past.execute(pairs).all() == [("root", "a"), ("root", "b")]
        assert past.scalars(select(Author.last).where(Author.articles.any(title="two"))).all() == [
            "L"
        ]
        assert past.query(Article).filter_by(title="one").count() == 1
        past.expire_all()
        assert past.get_one(Article, 1).title == "one"
        past.refresh(past.get_one(Article, 1))


@pytest.mark.parametrize("protected", [False, True])  # what was there then is looked up, too
def test_nothing_of_the_past_is_compiled_twice(
    engine: Engine, prefix: str, protected: bool
) -> None:
    Base.metadata.create_all(engine)
    with Session(engine) as session:
        fill(session)
    if protected:
        protect(engine, Pitr.table(f"{prefix}_a", "article", "1d"))
    then = take_moment(engine)
    options = {} if protected else OPEN
    hits: list[str] = []
    event.listen(engine, "before_cursor_execute", lambda *a: hits.append(a[4].cache_hit.name))
    for number in range(50):
        moment = Moment(then.nanoseconds + number)
        with past_session(engine, moment, **options) as past:
            assert past.scalars(select(Article.title).where(Article.id == 1)).one() == "one"
    mine = [hit for hit in hits if hit in ("CACHE_HIT", "CACHE_MISS")]
    assert mine.count("CACHE_MISS") <= 5
    assert mine.count("CACHE_HIT") >= 49


def test_it_is_read_only(world: World, server: Server, database: str) -> None:
    with past_session(world.engine, world.then, **OPEN) as past:
        article = past.get_one(Article, 1)
        article.title = "no"
        assert past.scalars(select(Tag.name).order_by(Tag.id)).all() == ["red", "blue"]
        for write in (past.flush, past.commit):
            with pytest.raises(PastWriteError, match=r"read-only.*session\.merge"):
                write()
        past.rollback()
        past.add(Tag(id=9, name="x"))
        with pytest.raises(PastWriteError):
            past.flush()
        past.rollback()
        past.delete(past.get_one(Tag, 1))
        with pytest.raises(PastWriteError):
            past.flush()
        past.rollback()
        with pytest.raises(PastWriteError, match=r"^UPDATE is not sent"):
            past.execute(update(Tag).values(name="x"))
        with pytest.raises(PastWriteError, match=r"^INSERT is not sent"):
            past.bulk_insert_mappings(inspect(Tag), [{"id": 9, "name": "x"}])
        past.rollback()
        with pytest.raises(PastWriteError, match="is not sent"):
            past.execute(text("DELETE FROM tag"))
        past.commit()
    names = server.query("SELECT name FROM tag ORDER BY id", database)
    assert names == [("pink",), ("blue",), ("green",)]


def test_objects_know_their_moment(world: World) -> None:
    with past_session(world.engine, world.then, **OPEN) as past, Session(world.engine) as now:
        article = past.get_one(Article, 1)
        assert moment_of(article) == moment_of(article.tags[0]) == world.then
        assert moment_of(now.get_one(Article, 1)) is None
        assert moment_of(Tag()) is None
        past.expunge(article)
        assert moment_of(article) == world.then
        assert moment_of(pickle.loads(pickle.dumps(article))) is None
    for nothing in (Article, 5, None):
        with pytest.raises(PitrValidationError, match="takes a mapped object"):
            moment_of(nothing)


def test_merging_brings_back(world: World) -> None:
    """The recipe of the documentation."""
    with past_session(world.engine, world.then, **OPEN) as past, Session(world.engine) as session:
        then = past.get_one(Article, 1, options=[selectinload(Article.tags)])
        _ = [(review.author, review.stars) for review in then.reviews]
        session.merge(then)
        session.commit()
    with Session(world.engine) as session:
        article = session.get_one(Article, 1)
        assert article.title == "one"
        assert [tag.name for tag in article.tags] == ["red", "blue"]
        assert [review.stars for review in article.reviews] == [3, 5]
        assert moment_of(article) is None


def test_session_makers(world: World) -> None:
    class Mine(Session):
        pass

    maker = sessionmaker(world.engine, class_=Mine, expire_on_commit=False, info={"a": 1})
    with past_session(maker, world.then, **OPEN) as past:
        assert type(past).__name__ == maker.class_.__name__
        assert past.info["a"] == 1
        assert past.get_one(Tag, 1).name == "red"
    by_class = sessionmaker(binds={Tag: world.engine, Base: world.engine})
    with past_session(by_class, world.then, **OPEN) as past:
        assert past.get_one(Tag, 1).name == "red"
    with maker() as session:
        assert session.get_one(Tag, 1).name == "pink"
    with pytest.raises(PitrValidationError, match="needs a bind"):
        past_session(sessionmaker(), world.then, **OPEN)


def test_binds_that_live_in_the_present(world: World) -> None:
    with world.engine.connect() as connection, Session(world.engine) as session:
        for bind in (connection, session, scoped_session(sessionmaker(world.engine)), "url"):
            with pytest.raises(PitrValidationError, match="made of Engine or sessionmaker"):
                past_session(bind, world.then, **OPEN)  # type: ignore[arg-type]


# ----------------------------------------------------------------- the past beside the present


def test_entities_of_as_of(world: World) -> None:
    """They are not those of the present, have their columns, and their relationships raise."""
    with Session(world.engine) as session:
        now = session.get_one(Article, 1)
        past = as_of(Article, world.then)
        then = session.scalars(select(past).where(past.id == 1)).one()
        assert then is not now
        assert (then.title, now.title) == ("one", "changed")
        assert moment_of(then) == world.then
        assert session.scalars(select(Article).where(Article.id == 1)).one() is now
        with pytest.raises(InvalidRequestError, match="lazy='raise'"):
            _ = then.author
        session.commit()  # which expires both
        assert (then.title, now.title) == ("one", "changed")
        then.title = "no"
        with pytest.raises(PastWriteError, match="was read as of"):
            session.flush()


def test_entities_of_as_of_with_their_relationships(world: World) -> None:
    with Session(world.engine) as session:
        session.scalars(select(Tag)).all()
        past = as_of(Article, world.then)
        found = session.scalars(
            select(past)
            .order_by(past.id)
            .options(selectinload(past.tags), subqueryload(past.author))
        ).all()
        assert [[tag.name for tag in one.tags] for one in found] == [["red", "blue"], ["blue"]]
        assert [one.author.last for one in found] == ["L", "L"]
        assert {moment_of(tag) for one in found for tag in one.tags} == {world.then}
        with pytest.raises(PastError, match=r"joinedload\(\) beside as_of\(article\)"):
            session.scalars(select(past).options(joinedload(past.tags))).unique().all()


def test_entities_of_as_of_by_inheritance(world: World) -> None:
    with Session(world.engine) as session:
        assert session.scalars(select(as_of(Car, world.then))).one().doors == 2
        assert session.scalars(select(as_of(Cat, world.then))).one().lives == 9
        assert session.scalars(select(as_of(Circle, world.then))).one().radius == 4
        assert _clerks(session, as_of(Clerk, world.then)) == [("cal", None), ("bea", "attic")]
        named = as_of(Clerk, world.then, name="then")
        assert session.scalars(select(named.id).where(named.name == "bea")).all() == [2]
        wide = as_of(with_polymorphic(Vehicle, [Car]), world.then)
        assert session.scalars(select(wide).order_by(wide.id)).first().doors == 2  # type: ignore[union-attr]
        found = session.scalars(select(as_of(Vehicle, world.then))).all()
        assert sorted(vehicle.name for vehicle in found) == ["beetle", "bike"]


def test_gone_since(world: World) -> None:
    with Session(world.engine) as session:
        past = as_of(Review, world.then)
        there = select(Review).where(
            Review.article_id == past.article_id, Review.author_id == past.author_id
        )
        gone = session.scalars(select(past).where(~there.exists()).order_by(past.stars)).all()
        assert [review.stars for review in gone] == [3, 5]


def test_objects_of_both_in_one_statement(world: World) -> None:
    with Session(world.engine) as session:
        past = as_of(Tag, world.then)
        with pytest.raises(PastError, match="of the past and of the present"):
            session.execute(select(past, Tag).join(Tag, Tag.id == past.id)).all()
        both = select(past.name, Tag).join(Tag, Tag.id == past.id).order_by(Tag.id)
        assert [(name, tag.name) for name, tag in session.execute(both)] == [
            ("red", "pink"),
            ("blue", "blue"),
        ]


@pytest.mark.parametrize("where", ["execute", "statement", "identity token", "get"])
def test_one_statement_of_a_session(world: World, where: str) -> None:
    options = {"matrixone_as_of": world.then}
    with Session(world.engine) as session:
        now = session.get_one(Tag, 1)
        wanted = select(Tag).where(Tag.id == 1)
        if where == "execute":
            then = session.scalars(wanted, execution_options=options).one()
        elif where == "statement":
            then = session.scalars(wanted.execution_options(**options)).one()
        elif where == "identity token":
            then = session.scalars(wanted.execution_options(identity_token=world.then)).one()
        else:
            then = session.get_one(Tag, 1, identity_token=world.then)
        assert (then.name, now.name) == ("red", "pink")
        assert moment_of(then) == world.then
        name = session.scalars(select(Tag.name).where(Tag.id == 1), execution_options=options)
        assert name.one() == "red"


# ------------------------------------------------------------------------------------------ async


def test_async(
    make_async_engine: Callable[..., AsyncEngine], server: Server, database: str
) -> None:
    engine = create_engine(server.url("mysql+pymysql", database))
    Base.metadata.create_all(engine)
    with Session(engine) as session:
        fill(session)
    then = take_moment(engine)
    with Session(engine) as session:
        change(session)
    engine.dispose()

    async def read() -> None:
        made = make_async_engine(execution_options={"matrixone_allow_unprotected": True})
        async with await past_session_async(made, then, **OPEN) as past:
            found = await past.scalars(select(Article).options(selectinload(Article.tags)))
            assert [[tag.name for tag in one.tags] for one in found] == [["red", "blue"], ["blue"]]
            assert await past.run_sync(_articles) == ALL
            (await past.get_one(Tag, 1)).name = "no"
            with pytest.raises(PastWriteError):
                await past.flush()
        maker = async_sessionmaker(made, expire_on_commit=False)
        async with await past_session_async(maker, then, **OPEN) as past:
            assert (await past.get_one(Tag, 1)).name == "red"
        async with AsyncSession(made) as present:
            assert (await present.get_one(Tag, 1)).name == "pink"
            past_tag = as_of(Tag, then)
            assert await present.scalar(select(past_tag.name).where(past_tag.id == 1)) == "red"
        with pytest.raises(PitrValidationError, match="made of AsyncEngine"):
            await past_session_async(made.sync_engine, then)  # type: ignore[arg-type]
        await made.dispose()

    asyncio.run(read())
