#include "sources/postgres/dump_lines.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"

namespace holdfast::postgres {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

TEST(RolesNeeded, are_owners_and_who_has_rights) {
    EXPECT_THAT(roles_needed("ALTER TABLE public.t OWNER TO seller;"), ElementsAre("seller"));
    EXPECT_THAT(roles_needed("ALTER FUNCTION f(a integer) OWNER TO \"odd \"\"name\";"), ElementsAre("odd \"name"));
    EXPECT_THAT(roles_needed("GRANT SELECT,INSERT ON TABLE public.\"a TO b\" TO reader, \"R W\" WITH GRANT OPTION;"),
                ElementsAre("reader", "R W"));
    EXPECT_THAT(roles_needed("REVOKE ALL ON SCHEMA public FROM PUBLIC;"), IsEmpty());
    EXPECT_THAT(roles_needed("REVOKE ALL ON SCHEMA s FROM owner;"), ElementsAre("owner"));
    EXPECT_THAT(roles_needed("ALTER DEFAULT PRIVILEGES FOR ROLE a IN SCHEMA s GRANT SELECT ON TABLES  TO b;"),
                ElementsAre("a", "b"));
    EXPECT_THAT(roles_needed("CREATE POLICY p ON public.t FOR SELECT TO x, y USING ((a = 'to z'::text));"),
                ElementsAre("x", "y"));
    EXPECT_THAT(roles_needed("CREATE POLICY p ON public.t USING (true);"), IsEmpty());
    EXPECT_THAT(roles_needed("SET SESSION AUTHORIZATION 'me';"), ElementsAre("me"));
    EXPECT_THAT(roles_needed("SET SESSION AUTHORIZATION DEFAULT;"), IsEmpty());
    EXPECT_THAT(roles_needed("ALTER TABLE ONLY public.t ADD CONSTRAINT c PRIMARY KEY (id);"), IsEmpty());
}

class DumpLinesTest : public testing::Test {
protected:
    void feed(std::string_view text, std::size_t piece) {
        DumpLines lines(
            {[&](ByteView bytes) { passed += as_text(bytes); }, [&](const std::string& role) { roles.push_back(role); },
             [&](const std::string& name) { databases.push_back(name); }},
            "postgres", server_major);
        for (std::size_t at = 0; at < text.size(); at += piece) lines.add(as_bytes(text.substr(at, piece)));
        lines.finish();
        cut_off = "";
        try {
            lines.refuse_what_was_cut_off();
        } catch (const Error& error) {
            cut_off = error.message();
        }
    }
    int server_major = 15;
    std::string passed, cut_off;
    std::vector<std::string> roles, databases;
};

TEST_F(DumpLinesTest, pass_everything_on_but_what_is_there_already) {
    const std::string text =
        "-- ALTER TABLE t OWNER TO nobody;\nCREATE ROLE made;\nCREATE ROLE postgres;\nALTER ROLE postgres WITH LOGIN;\n"
        "CREATE DATABASE shop WITH TEMPLATE = template0;\nALTER TABLE t OWNER TO made;\nALTER TABLE t OWNER TO "
        "seller;\n"
        "COPY public.t (a) FROM stdin;\nALTER TABLE x OWNER TO rows;\n\\.\nGRANT ALL ON t TO seller;\nSELECT 1";
    std::string expected = text;
    expected.erase(expected.find("CREATE ROLE postgres;\n"), 22);
    for (const std::size_t piece : {1UL, 7UL, text.size()}) {
        passed.clear();
        roles.clear();
        databases.clear();
        feed(text, piece);
        EXPECT_EQ(passed, expected);
        EXPECT_THAT(roles, ElementsAre("seller"));
        EXPECT_THAT(databases, ElementsAre("shop"));
    }
}

TEST_F(DumpLinesTest, a_setting_that_the_server_does_not_know_is_left_out) {
    const std::string setting = "SET transaction_timeout = 0;\n", rows = "COPY t FROM stdin;\n" + setting + "\\.\n";
    feed(setting + rows, 100);
    EXPECT_EQ(passed, rows);
    passed.clear();
    server_major = 17;
    feed(setting + rows, 100);
    EXPECT_EQ(passed, setting + rows);
}

TEST_F(DumpLinesTest, long_lines_are_passed_on_in_pieces) {
    const std::string text = "COPY t FROM stdin;\n" + std::string(3 * DumpLines::line_bytes_max, 'x') +
                             "\n\\.\nALTER TABLE t OWNER TO last;\n";
    feed(text, 1000);
    EXPECT_EQ(passed, text);
    EXPECT_THAT(roles, ElementsAre("last"));
}

TEST_F(DumpLinesTest, a_dump_that_was_cut_off_is_refused) {
    const std::string head = "--\n-- PostgreSQL database dump\n--\nSELECT 1;\n";
    const std::string rows = "COPY public.t (a) FROM stdin;\n1\n-- PostgreSQL database dump complete\n";
    const std::string end = "--\n-- PostgreSQL database dump complete\n--\n";
    const std::string cluster = "--\n-- PostgreSQL database cluster dump\n--\n";
    for (const std::size_t piece : {1UL, 10000UL}) {
        for (const std::string& whole :
             {head + end, head + rows + "\\.\n" + end, head + "SELECT 2;\n" + end + "\\unrestrict x\n",
              std::string("SELECT 1;\n"),
              cluster + head + end + head + end + "--\n-- PostgreSQL database cluster dump complete\r\n"}) {
            feed(whole, piece);
            EXPECT_EQ(cut_off, "") << whole;
        }
        for (const std::string& cut : {head + rows, rows, std::string("COPY t FROM stdin;\n1\n\\")}) {
            feed(cut, piece);
            EXPECT_THAT(cut_off, HasSubstr("rows of a table")) << cut;
        }
        for (const std::string& cut : {head, head + rows + "\\.\n", head + end.substr(0, end.size() - 8)}) {
            feed(cut, piece);
            EXPECT_THAT(cut_off, HasSubstr("\"database dump complete\"")) << cut;
        }
        feed(cluster + head + end, piece);
        EXPECT_THAT(cut_off, HasSubstr("\"cluster dump complete\""));
    }
}

}  // namespace
}  // namespace holdfast::postgres
