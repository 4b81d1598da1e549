// SPDX-License-Identifier: Apache-2.0
// The grammar of a number as strace and people write it (PEGTL): PROT_READ|PROT_WRITE, 21<<MAP_HUGE_SHIFT,
// 8192*1024, $a+0x1000, 0x66 /* MADV_??? */, 0x8 /* MAP_??? */|MAP_ANONYMOUS. Precedence as in C; everything
// is 64 bits and wraps.
#pragma once

#include "sim/scenario/lexis.h"

namespace mmsim::scenario::grammar {

struct Or;
struct CloseExpr : p::one<')'> {};
struct ExprNumber : Number {};
struct ExprName : Name {};
struct ExprSymbol : Word {};
struct ExprGroup : p::seq<p::one<'('>, Sp, Or, Sp, CloseExpr> {};
struct Primary;
struct Negated : p::seq<p::one<'-'>, Primary> {};
struct Inverted : p::seq<p::one<'~'>, Primary> {};
struct Unary : p::sor<Negated, Inverted> {};
struct Primary : p::sor<ExprNumber, ExprName, ExprSymbol, ExprGroup, Unary> {};
struct Operand : Primary {};  // behind an operator: must be there
struct Times : p::seq<Sp, p::one<'*'>, Sp, Operand> {};
struct Product : p::seq<Primary, p::star<Times>> {};
struct ProductOperand : p::seq<Operand, p::star<Times>> {};
struct Plus : p::seq<Sp, p::one<'+'>, Sp, ProductOperand> {};
struct Minus : p::seq<Sp, p::one<'-'>, Sp, ProductOperand> {};
struct Sum : p::seq<Product, p::star<p::sor<Plus, Minus>>> {};
struct SumOperand : p::seq<ProductOperand, p::star<p::sor<Plus, Minus>>> {};
struct ShiftLeft : p::seq<Sp, p::string<'<', '<'>, Sp, SumOperand> {};
struct Shifted : p::seq<Sum, p::star<ShiftLeft>> {};
struct ShiftedOperand : p::seq<SumOperand, p::star<ShiftLeft>> {};
struct OrElse : p::seq<Sp, p::opt<Comment, Sp>, p::one<'|'>, Sp, ShiftedOperand> {};
struct Or : p::seq<Shifted, p::star<OrElse>> {};
struct Expression : Or {};
struct ExpectedExpression : Expression {};
struct ExprEnd : p::eof {};
struct WholeExpression : p::seq<Sp, ExpectedExpression, Sp, p::opt<Comment, Sp>, ExprEnd> {};

template <>
inline constexpr const char* kMessage<CloseExpr> = "expected ')'";
template <>
inline constexpr const char* kMessage<Operand> =
    "expected a number, a constant or a $name after the operator";
template <>
inline constexpr const char* kMessage<ExpectedExpression> = "expected a number, a constant or a $name";
template <>
inline constexpr const char* kMessage<ExprEnd> = "expected an operator or the end of the number";

}  // namespace mmsim::scenario::grammar
