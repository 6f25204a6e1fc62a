"""SQLAlchemy's own shapes of relationships and inheritance, as models, and rows of them."""

from __future__ import annotations

from sqlalchemy import Column, ForeignKey, String, Table, func, select
from sqlalchemy.ext.associationproxy import AssociationProxy, association_proxy
from sqlalchemy.ext.declarative import ConcreteBase
from sqlalchemy.ext.hybrid import hybrid_property
from sqlalchemy.orm import (
    DeclarativeBase,
    Mapped,
    Session,
    column_property,
    mapped_column,
    relationship,
)


class Base(DeclarativeBase):
    type_annotation_map = {str: String(30)}  # noqa: RUF012


class Node(Base):
    """Self-referential."""

    __tablename__ = "node"

    id: Mapped[int] = mapped_column(primary_key=True)
    parent_id: Mapped[int | None] = mapped_column(ForeignKey("node.id"))
    name: Mapped[str]
    children: Mapped[list[Node]] = relationship(back_populates="parent", order_by="Node.id")
    parent: Mapped[Node | None] = relationship(back_populates="children", remote_side=[id])


article_tag = Table(
    "article_tag",
    Base.metadata,
    Column("article_id", ForeignKey("article.id"), primary_key=True),
    Column("tag_id", ForeignKey("tag.id"), primary_key=True),
)


class Tag(Base):
    __tablename__ = "tag"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]


class Author(Base):
    __tablename__ = "author"

    id: Mapped[int] = mapped_column(primary_key=True)
    first: Mapped[str]
    last: Mapped[str]
    articles: Mapped[list[Article]] = relationship(back_populates="author", order_by="Article.id")

    @hybrid_property
    def full(self) -> str:
        return self.first + "/" + self.last

    @full.inplace.expression
    @classmethod
    def _full(cls):  # type: ignore[no-untyped-def]
        return func.concat(cls.first, "/", cls.last)


class Review(Base):
    """An association object."""

    __tablename__ = "review"

    article_id: Mapped[int] = mapped_column(ForeignKey("article.id"), primary_key=True)
    author_id: Mapped[int] = mapped_column(ForeignKey("author.id"), primary_key=True)
    stars: Mapped[int]
    author: Mapped[Author] = relationship()


class Article(Base):
    """Many-to-one, many-to-many, an association object, and a column of a subquery."""

    __tablename__ = "article"

    id: Mapped[int] = mapped_column(primary_key=True)
    title: Mapped[str]
    author_id: Mapped[int] = mapped_column(ForeignKey("author.id"))
    author: Mapped[Author] = relationship(back_populates="articles")
    tags: Mapped[list[Tag]] = relationship(secondary=article_tag, order_by=Tag.id)
    reviews: Mapped[list[Review]] = relationship(order_by=Review.author_id)
    reviewers: AssociationProxy[list[Author]] = association_proxy("reviews", "author")


Article.stars = column_property(
    select(func.sum(Review.stars)).where(Review.article_id == Article.id).scalar_subquery()
)


class Vehicle(Base):
    """Joined inheritance."""

    __tablename__ = "vehicle"
    __mapper_args__ = {"polymorphic_on": "kind", "polymorphic_identity": "vehicle"}  # noqa: RUF012

    id: Mapped[int] = mapped_column(primary_key=True)
    kind: Mapped[str]
    name: Mapped[str]


class Car(Vehicle):
    __tablename__ = "car"
    __mapper_args__ = {"polymorphic_identity": "car"}  # noqa: RUF012

    id: Mapped[int] = mapped_column(ForeignKey("vehicle.id"), primary_key=True)
    doors: Mapped[int]


class Pet(Base):
    """Single-table inheritance."""

    __tablename__ = "pet"
    __mapper_args__ = {"polymorphic_on": "kind", "polymorphic_identity": "pet"}  # noqa: RUF012

    id: Mapped[int] = mapped_column(primary_key=True)
    kind: Mapped[str]
    name: Mapped[str]
    lives: Mapped[int | None]


class Cat(Pet):
    __mapper_args__ = {"polymorphic_identity": "cat"}  # noqa: RUF012


class Shape(Base):
    """Concrete-table inheritance."""

    __tablename__ = "shape"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]


class Circle(Shape):
    __tablename__ = "circle"
    __mapper_args__ = {"concrete": True}  # noqa: RUF012

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]
    radius: Mapped[int]


class Clerk(ConcreteBase, Base):
    """Concrete-table inheritance that is read as a union of its tables."""

    __tablename__ = "clerk"
    __mapper_args__ = {"polymorphic_identity": "clerk", "concrete": True}  # noqa: RUF012

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]


class Boss(Clerk):
    __tablename__ = "boss"
    __mapper_args__ = {"polymorphic_identity": "boss", "concrete": True}  # noqa: RUF012

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]
    office: Mapped[str]


def fill(session: Session) -> None:
    """Rows of every table."""
    root = Node(id=1, name="root", children=[Node(id=2, name="a"), Node(id=3, name="b")])
    ada, bob = Author(id=1, first="Ada", last="L"), Author(id=2, first="Bob", last="M")
    red, blue = Tag(id=1, name="red"), Tag(id=2, name="blue")
    session.add_all(
        [
            root,
            Article(
                id=1,
                title="one",
                author=ada,
                tags=[red, blue],
                reviews=[Review(author=ada, stars=3), Review(author=bob, stars=5)],
            ),
            Article(id=2, title="two", author=ada, tags=[blue]),
            Car(id=1, name="beetle", doors=2),
            Vehicle(id=2, name="bike"),
            Cat(id=1, name="tom", lives=9),
            Pet(id=2, name="rex"),
            Shape(id=1, name="blob"),
            Circle(id=1, name="ring", radius=4),
            Clerk(id=1, name="cal"),
            Boss(id=2, name="bea", office="attic"),
        ]
    )
    session.commit()


def change(session: Session) -> None:
    """Change every table in a way that each test would see."""
    one = session.get_one(Article, 1)
    one.title = "changed"
    one.tags[:] = [Tag(id=3, name="green")]
    for review in list(one.reviews):
        session.delete(review)
    two = session.get_one(Article, 2)
    two.author = Author(id=3, first="Eve", last="N")
    session.get_one(Author, 1).last = "X"
    session.get_one(Tag, 1).name = "pink"
    session.get_one(Node, 3).parent = session.get_one(Node, 2)
    session.get_one(Node, 1).name = "stem"
    session.get_one(Car, 1).doors = 5
    session.get_one(Vehicle, 2).name = "trike"
    session.get_one(Pet, 1).lives = 8
    session.get_one(Pet, 2).name = "max"
    session.get_one(Shape, 1).name = "square"
    session.get_one(Circle, 1).radius = 7
    session.get_one(Clerk, 1).name = "cat"
    session.get_one(Boss, 2).office = "cellar"
    session.commit()
