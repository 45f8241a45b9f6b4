<?php

declare(strict_types=1);

namespace Tests;

use PHPUnit\Framework\Assert;
use PHPUnit\Framework\TestCase;
use Tests\Support\Extension;
use Tests\Support\ReplyType;

/** The stub, docs/commands.md and PHP's Reflection say the same. `make table` writes the first two. */
final class StubTest extends TestCase
{
    private const ROOT = __DIR__ . '/..';
    private const STUB = self::ROOT . '/stubs/ResilientRedis.stub.php';

    public function test_the_stub_is_php(): void
    {
        exec(escapeshellarg(PHP_BINARY) . ' -n -l ' . escapeshellarg(self::STUB) . ' 2>&1', $output, $status);
        self::assertSame(0, $status, implode("\n", $output));
    }

    public function test_the_stub_has_the_classes_that_the_extension_has(): void
    {
        $without = static fn (array $classes): array => array_map(static fn (array $class): array => array_diff_key($class, ['methods' => 0]), $classes);
        self::assertSame($without(self::extension()), $without(self::stub()));
    }

    public function test_the_stub_has_the_methods_that_the_extension_has_and_no_others(): void
    {
        $signatures = static fn (array $classes): array => array_map(
            static fn (array $class): array => array_column($class['methods'], 'signature'),
            $classes,
        );
        [$real, $told] = [$signatures(self::extension()), $signatures(self::stub())];
        foreach ($real as $name => $methods) {
            self::assertSame([], array_values(array_diff($methods, $told[$name] ?? [])), "$name: not, or otherwise, in the stub");
            self::assertSame([], array_values(array_diff($told[$name] ?? [], $methods)), "$name: in the stub alone");
        }
    }

    public function test_every_method_of_the_stub_says_what_it_does(): void
    {
        foreach (self::stub() as $class => $about) {
            foreach ($about['methods'] as $name => $method) {
                self::assertMatchesRegularExpression('~^/\*\* [A-Z][^@]*\.~', $method['doc'], "$class::$name");
            }
        }
    }

    public function test_the_containers_of_the_stub_are_there(): void
    {
        preg_match_all('~@property-read \\\\ResilientRedis\\\\Container \$(\w+)~', (string) file_get_contents(self::STUB), $found);
        self::assertContains('acl', $found[1]);
        $redis = new \ResilientRedis('tcp://127.0.0.1:1');
        foreach ($found[1] as $name) {
            // Those of modules have a point in their names.
            self::assertSame(strtoupper($name), str_replace('.', '', $redis->$name->getContainerCommandId()));
        }
    }

    public function test_the_page_of_commands_names_every_method_with_its_arguments_and_reply(): void
    {
        $methods = self::stub()['ResilientRedis']['methods'];
        $rows = self::page();
        self::assertSame([], array_values(array_diff(array_keys($rows), array_keys($methods))), 'on the page alone');
        foreach ($rows as $name => [$arguments, $reply]) {
            $signature = preg_replace('~ \([^)]*$~', '', $methods[$name]['signature']);
            preg_match('~\((.*)\): ~', (string) $signature, $found);
            $short = implode(', ', array_map(
                static fn (string $parameter): string => str_replace(['$', '"'], ['', "'"], explode(' ', $parameter, 2)[1]),
                $found[1] === '' ? [] : explode(', ', $found[1]),
            ));
            self::assertSame($short, $arguments, $name);
            self::assertSame(self::replyOf($methods[$name]), $reply, $name);
        }
        $commands = array_diff(array_keys($methods), self::ownMethods());
        self::assertSame([], array_values(array_diff($commands, array_keys($rows))), 'not on the page');
    }

    public function test_a_reply_has_the_type_that_the_stub_tells(): void
    {
        $methods = self::stub()['ResilientRedis']['methods'];
        foreach (PredisTest::calls() as $row) {
            $call = $row[0];
            foreach ([2 => $row[1], 3 => array_key_exists(2, $row) ? $row[2] : $row[1]] as $protocol => $reply) {
                $type = self::replyOf($methods[strtolower($call[0])]);
                self::assertTrue(
                    ReplyType::fits($type, $reply),
                    json_encode($call) . " under RESP$protocol gives " . json_encode($reply) . ", told is $type",
                );
            }
        }
    }

    /** @return array<string, array<string, mixed>> */
    private static function extension(): array
    {
        return self::described(Extension::php(__DIR__ . '/Support/bin/describe-classes.php'));
    }

    /** @return array<string, array<string, mixed>> */
    private static function stub(): array
    {
        static $stub = null;

        return $stub ??= self::described([PHP_BINARY, '-n', __DIR__ . '/Support/bin/describe-classes.php', self::STUB]);
    }

    /**
     * @param list<string> $command
     * @return array<string, array<string, mixed>>
     */
    private static function described(array $command): array
    {
        exec(implode(' ', array_map('escapeshellarg', $command)), $output, $status);
        Assert::assertSame(0, $status, implode("\n", $output));

        return json_decode(implode("\n", $output), true, 64, JSON_THROW_ON_ERROR);
    }

    /** @return array<string, array{string, string}> */
    private static function page(): array
    {
        $rows = [];
        foreach (file(self::ROOT . '/docs/commands.md', FILE_IGNORE_NEW_LINES) ?: [] as $line) {
            if (preg_match('~^\| `(\w+)` \| (?:`(.*?)`)? \| `(.*?)` \|~', $line, $found) === 1) {
                self::assertArrayNotHasKey($found[1], $rows, 'twice on the page');
                $rows[$found[1]] = [$found[2], str_replace('\\|', '|', $found[3])];
            }
        }

        return $rows;
    }

    /** @param array<string, mixed> $method */
    private static function replyOf(array $method): string
    {
        return preg_match('~@return (.+?)(?: \*/|$)~m', $method['doc'], $found) === 1 ? $found[1] : 'mixed';
    }

    /**
     * The methods of the client that are no commands: those that are kept by hand.
     *
     * @return list<string>
     */
    private static function ownMethods(): array
    {
        $text = (string) file_get_contents(self::ROOT . '/src/php/classes.stub.php');
        preg_match('~^class ResilientRedis\b.*?^}~ms', $text, $class);
        preg_match_all('~function (\w+)\(~', $class[0], $names);

        return $names[1];
    }
}
