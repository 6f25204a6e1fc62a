"""The MySQL client/server protocol, as far as a server of text statements needs it.

Theory of operation
-------------------

A connection is a stream of *packets* in both directions (`channel`). A packet is a header of four
bytes (three of length, one of sequence number) and a payload; a payload of 0xFFFFFF bytes or more
goes on in the next packet. The sequence number counts the packets of one exchange, both
directions together, and begins at 0 with each command; one out of order ends the connection.

Connecting (`packets`, `passwords`)::

    server: greeting       version, connection id, salt, the capabilities offered
    client: login          the capabilities it wants, user, proof of the password, database
    server: auth_switch    only if the client began with another plugin ...
    client: proof          ... and then proves its password for mysql_native_password
    server: ok or err      err ends the connection

From then on the client sends one *command* at a time and reads its answer before the next one.
The first byte of a command's payload is a `Command`, the rest its text::

    server: err                          the statement was refused
    server: ok                           done, no rows: affected rows, last insert id, status
    server: a result set                 number of columns, one definition a column, [eof],
                                         one packet a row, then eof (ok with header 0xFE for a
                                         client with DEPRECATE_EOF)

A row is text: each value as a length and its characters, 0xFB for NULL. Several statements in one
COM_QUERY have one answer each; all but the last have `Status.MORE_RESULTS`.

Two rules shape the code:

* An answer is complete or an error. All packets of a result set are made before the first one is
  sent (`server.client`), because a value that cannot be shown would otherwise leave half a result.
* The status bits of an answer are the session's, at two moments: rows are sent while the
  transaction of their statement is open, the packet that ends them after its end
  (`server.session`). Drivers believe these bits, and MatrixOne's are wrong at times: the emulator
  is wrong in the same way.

Whatever a client sends that is no packet of this protocol raises `ConnectionLost`, and ends its
own connection only.
"""
