'''GraphQL at `/graphql`: the same messages as REST, types made from the contract shapes, nothing copied by hand.

Adding your service. Write `gateway/graphql/<service>.py` with one tuple, and name the module in `app.py` (MODULES):

    """GraphQL of the catalog."""

    from gateway.graphql.fields import connection, link, mutation, node, query
    from shared.contracts.catalog.messages import CreateProduct, GetProduct, ListOffers, ListProducts, ListProductsById
    from shared.contracts.catalog.shapes import OfferPage, Product

    FIELDS = (
        query("product", GetProduct),                    # Query.product(productId: UUID!): Product
        connection("products", ListProducts),            # Query.products(first:, after:, …): ProductConnection
        connection("offers", ListOffers, answer=OfferPage),  # ListOffers answers bytes: say the shape of its JSON
        mutation("createProduct", CreateProduct),        # Mutation.createProduct(…): Product | Problem
        node(Product, GetProduct, "product_id"),         # Product has a global id; node(id:) finds it
        link(OrderLine, "product", Product, by="product_id", message=ListProductsById, ids="product_ids"),
    )

Try it: `.venv/bin/python -c "from gateway.graphql.app import schema; print(schema().as_str())"`.

What follows from the contract, so that nothing is said twice:
- Arguments are the message's fields in camelCase, nested shapes become `…Input` types. A field with a default may be
  left out (or null where its type allows it); what is left out is not "set" (`model_fields_set` is that of REST's
  PATCH). `renamed={"service_name": "service"}` gives an argument another name.
- Docstrings of messages become field descriptions, those of shapes type descriptions: write them for a customer.
- `Literal[…]` becomes an enum named like its alias in `shapes.py` (`JobState`), else owner and field (`OrderStatus`);
  its values are upper case. UUID, datetime, date, Decimal, SecretText are scalars; Money is a type; mappings are
  JSON.
- `connection` wants `first` and `after` in the message, `items` and `next` in the answer (a `Page[…]`, or a shape
  that has more, e.g. `total`, `facets`, which then are fields of the connection). Edges inside a page have cursors
  too.
- A shape declared as `node`, or `also` with one, has `id` (global, opaque) and `uuid` (what REST calls `id`). Arguments
  of type UUID take both; a node id of something else is refused where the argument is called as the node's key.
- `link` is the only way to other things by their id, because it asks once per list: the message takes a list of ids
  and answers `items` (or say `found=lambda answer: answer.products`) with an `id` each (or say `key=`). Put the
  plural message in your contract and answer it with one statement. A list of ids in `by` gives a list.
- Errors: a mutation answers `union … = Result | Problem` (`code`, `title`, `detail`, `status`, `errors`, …); a
  query's error is in `errors` with the same members under `extensions`. Raise named errors; nothing else is needed.
- `Idempotency-Key` works as in REST; with several mutations in one operation each has the header's key with its
  field's name, or give `idempotencyKey:` to each.
- Queries and connections are answered by `compiled.py`, with the ordinary executor's bytes; its test finds yours by
  itself. A resolver of your own that looks at nothing but its object can be compiled too: `of_source`.
- Messages asked by services alone (`internal=True`) have no field. What a scope forbids is refused by the service.
'''
