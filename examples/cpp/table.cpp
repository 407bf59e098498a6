// A table of sensor readings: rows value by value, a scan with a condition as an Arrow stream; no Arrow library is needed.
#include <sstore.hpp>

#include <iostream>

int main(int argc, char **argv)
{
    enum { SENSOR, MINUTE, CELSIUS };
    sstore::Db db(argc > 1 ? argv[1] : "table.db");
    sstore::Table readings =
        sstore::Table::create(db, "readings", {{"sensor", "u"}, {"minute", "l"}, {"celsius", "g", true}}, {"sensor", "minute"});

    sstore::RowBuilder builder(readings);
    for (int minute = 0; minute < 4; minute++) {
        builder.row("roof", minute, 18.0 + minute);
        builder.row("cellar", minute, nullptr);
    }
    builder.write();

    sstore::RowStream stream = sstore::Scan(readings).where("sensor = 'roof' AND celsius < 20.5").execute();
    while (sstore::Arrow<ArrowArray> rows = stream.next()) {
        const ArrowArray &minutes = *rows->children[MINUTE], &celsius = *rows->children[CELSIUS];
        for (std::int64_t row = 0; row < rows->length; row++)
            std::cout << "minute " << static_cast<const std::int64_t *>(minutes.buffers[1])[minutes.offset + row] << ": "
                      << static_cast<const double *>(celsius.buffers[1])[celsius.offset + row] << "\n";
    }
    db.close();
}
