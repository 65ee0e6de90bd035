-- Tables of orders, their lines and shipments, and what keeps them right whenever and in whatever
-- order events come. To be run once, in a database whose encoding is UTF8:
--
--     psql --set=ON_ERROR_STOP=1 --single-transaction --file=schema.sql
--
-- load-postgresql copies each entry of the spool into tradecloud.inbox, whose trigger loads it and
-- keeps nothing there. Its role needs no more than
--
--     GRANT USAGE ON SCHEMA tradecloud TO loader;
--     GRANT INSERT ON tradecloud.inbox TO loader;
--
-- An order, each of its lines and a shipment are replaced only by what is not older. So it does not
-- matter in which order events are loaded, nor how often.
CREATE SCHEMA tradecloud;
SET search_path = tradecloud;

-- Compared from the first to the last.
CREATE TYPE age AS (
    version numeric,     -- 0 where there is none: of legacy orders and shipments
    updated timestamptz, -- lastUpdatedAt, or else the event's time
    whole   boolean,     -- has all lines: what was fetched wins over an event of the same version
    sent    timestamptz  -- of an event: a resent one is younger
);

CREATE TABLE orders (
    order_id text PRIMARY KEY,
    age      age NOT NULL,
    complete age,           -- of the youngest that had all lines: what it did not have, is no more
    content  jsonb NOT NULL -- the order without its lines; numbers keep their digits: 78.90
);

CREATE TABLE order_lines (
    order_id text NOT NULL REFERENCES orders,
    line     text NOT NULL, -- its position, which never changes; its id as long as it has none
    age      age NOT NULL,
    content  jsonb NOT NULL,
    -- What is needed often can have a column of its own, like this one.
    item     text GENERATED ALWAYS AS (content #>> '{buyerLine,item,number}') STORED,
    PRIMARY KEY (order_id, line)
);

-- Events of shipments have all lines, so they stay where they are.
CREATE TABLE shipments (
    shipment_id text PRIMARY KEY,
    age         age NOT NULL,
    content     jsonb NOT NULL
);

CREATE TABLE inbox (entry jsonb NOT NULL);

CREATE FUNCTION load_order(id text, body jsonb, young age) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    -- This locks the order's row, changed or not: two who load the same order take turns.
    INSERT INTO orders AS o (order_id, age, content)
    VALUES (id, young, body - 'lines' - 'meta')
    ON CONFLICT (order_id) DO UPDATE SET age = young, content = excluded.content
    WHERE o.age <= young;

    IF EXISTS (SELECT FROM orders WHERE order_id = id AND complete > young) THEN
        RETURN;
    END IF;
    IF young.whole THEN
        UPDATE orders SET complete = young WHERE order_id = id;
        DELETE FROM order_lines WHERE order_id = id AND age < young;
    END IF;

    INSERT INTO order_lines AS o (order_id, line, age, content)
    SELECT DISTINCT ON (line) id, line, young, new_line
    FROM jsonb_array_elements(nullif(body -> 'lines', 'null')) WITH ORDINALITY AS l (new_line, nth),
        coalesce(nullif(new_line #>> '{buyerLine,position}', ''),
                 nullif(new_line ->> 'position', ''), new_line ->> 'id') AS line
    ORDER BY line, nth DESC
    ON CONFLICT (order_id, line) DO UPDATE SET age = young, content = excluded.content
    WHERE o.age <= young;
END
$$;

CREATE FUNCTION load_shipment(id text, body jsonb, young age) RETURNS void LANGUAGE sql AS $$
    INSERT INTO shipments AS s (shipment_id, age, content) VALUES (id, young, body)
    ON CONFLICT (shipment_id) DO UPDATE SET age = young, content = excluded.content
    WHERE s.age <= young
$$;

-- Times without a zone are taken as UTC.
CREATE FUNCTION load() RETURNS trigger LANGUAGE plpgsql
SECURITY DEFINER SET search_path = tradecloud, pg_temp SET timezone = 'UTC' AS $$
DECLARE
    id text := NEW.entry ->> 'subject';
    sent timestamptz := NEW.entry ->> 'time';
    kind text := split_part(NEW.entry ->> 'type', '.', 3);
    data jsonb := NEW.entry -> 'data';
    body jsonb := CASE kind
        WHEN 'order' THEN coalesce(nullif(data -> 'orderEvent', 'null'),
                                   nullif(data -> 'singleDeliveryOrderEvent', 'null'),
                                   data -> 'simpleOrderEvent')
        WHEN 'shipment' THEN coalesce(nullif(data -> 'shipment', 'null'), data -> 'shipmentEvent')
        ELSE data END;
    updated timestamptz := coalesce(body ->> 'lastUpdatedAt', body #>> '{meta,lastUpdatedAt}');
    young age := ROW(coalesce((body ->> 'version')::numeric, 0), coalesce(updated, sent),
                     kind LIKE '%-fetched' AND nullif(body -> 'lines', 'null') IS NOT NULL, sent);
BEGIN
    IF body IS NULL OR coalesce(kind, '') = '' THEN
        RAISE EXCEPTION 'there is no data in it that fits its type' USING ERRCODE = 'data_exception';
    END IF;
    CASE kind
    WHEN 'order', 'order-fetched', 'legacy-order-fetched' THEN
        PERFORM load_order(id, body, young);
    WHEN 'shipment', 'shipment-fetched' THEN
        PERFORM load_shipment(id, body, young);
    ELSE
        RAISE NOTICE 'there is no table for %', NEW.entry ->> 'type';
    END CASE;
    RETURN NULL;
END
$$;

REVOKE EXECUTE ON ALL FUNCTIONS IN SCHEMA tradecloud FROM PUBLIC;
CREATE TRIGGER load BEFORE INSERT ON inbox FOR EACH ROW EXECUTE FUNCTION load();
